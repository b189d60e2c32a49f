using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Admission;
using Mesh.Testing.Kubernetes.Cel;
using Mesh.Testing.Kubernetes.Controllers;
using Mesh.Testing.Kubernetes.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing.Kubernetes;

/// <summary>A Kubernetes API server over real HTTP, with its objects in memory. What it does and does not do: docs/fake-kube-api.md.</summary>
internal sealed class FakeKubeApi : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ApiServer _server;
    private readonly TestCa? _ca;
    private readonly List<Controller> _controllers = [];
    private bool _stopped;

    private FakeKubeApi(WebApplication app, ApiServer server, TestCa? ca, FakeKubeApiOptions options)
    {
        (_app, _server, _ca, Options) = (app, server, ca, options);
        Address = new Uri(app.Urls.First());
    }

    public FakeKubeApiOptions Options { get; }

    public Uri Address { get; }

    /// <summary>Of a cluster administrator.</summary>
    public string Token => _server.AdminToken;

    /// <summary>What the server's certificate is checked with, when it has one.</summary>
    public string? CaPem => _ca?.RootPem;

    public Faults Faults => _server.Faults;

    public RequestLog Log => _server.Log;

    /// <summary>Where the Services that webhook configurations name are to be reached.</summary>
    public WebhookServices Services => _server.Services;

    internal ObjectStore Store => _server.Store;

    /// <summary>The version that the last write was given.</summary>
    public long ResourceVersion => Store.Version;

    public static async Task<FakeKubeApi> StartAsync(FakeKubeApiOptions? options = null)
    {
        options ??= new FakeKubeApiOptions();
        var ca = options.Https ? new TestCa("cluster.local") : null;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (ca is not null)
            {
                listen.UseHttps(ca.LoopbackServer("localhost", "kubernetes.default.svc"));
            }
        }));
        var app = builder.Build();
        var server = new ApiServer(options);
        app.Run(server.HandleAsync);
        await app.StartAsync();
        return new FakeKubeApi(app, server, ca, options);
    }

    /// <summary>Puts objects there as they are, status included: a test's setting, made without webhooks or rules. Missing namespaces are made.</summary>
    public void Apply(string yaml)
    {
        foreach (var json in KubeYaml.Documents(yaml))
        {
            Apply(json);
        }
    }

    /// <inheritdoc cref="Apply(string)"/>
    public JsonObject Apply(JsonObject json) => _server.Set(json);

    /// <summary>The object as it is stored; null when it is not there.</summary>
    /// <param name="resource">As refusals name it: <c>pods</c>, <c>deployments.apps</c>.</param>
    public JsonObject? Find(string resource, string ns, string name) => Store.Find(_server.Resource(resource), ns, name)?.Json.Copy();

    public JsonObject Get(string resource, string ns, string name) =>
        Find(resource, ns, name) ?? throw new InvalidOperationException($"There is no {resource} {ns}/{name}; there are: {string.Join(", ", Store.All(_server.Resource(resource)).Select(o => o.Key))}.");

    public IReadOnlyList<JsonObject> List(string resource, string? ns = null) =>
        [.. Store.All(_server.Resource(resource)).Where(o => ns is null || o.Namespace == ns).Select(o => o.Json.Copy())];

    /// <summary>Changes what is stored, past all rules.</summary>
    public void Change(string resource, string ns, string name, Action<JsonObject> change)
    {
        var json = Get(resource, ns, name);
        change(json);
        _server.Set(json, replace: true);
    }

    public void Delete(string resource, string ns, string name) => _server.Delete(resource, ns, name);

    /// <summary>A token as projected into a pod (null: bound to none); the account is made when it is missing.</summary>
    /// <param name="audience">Null: the API server itself.</param>
    public string IssueToken(string ns, string serviceAccount, string? pod = null, string? audience = null, TimeSpan? life = null)
    {
        if (Find("serviceaccounts", ns, serviceAccount) is null)
        {
            Apply(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = new JsonObject { ["name"] = serviceAccount, ["namespace"] = ns } });
        }

        return _server.IssueToken(ns, serviceAccount, pod, audience ?? Rbac.ServiceAccountTokens.ApiAudience, life ?? TimeSpan.FromHours(1));
    }

    /// <summary>Forgets the history: lists and watches from an older version are answered with 410.</summary>
    public void Compact() => Store.Compact();

    /// <summary>Starts a part of what else a cluster runs; it ends with this server.</summary>
    public void Run(Controller controller)
    {
        _controllers.Add(controller);
        controller.Start();
    }

    /// <summary>Creates as a client of the API does, webhooks and all; false when it was refused.</summary>
    internal Task<bool> TryCreateAsync(string resource, JsonObject json, CancellationToken ct) => _server.TryCreateAsync(resource, json, ct);

    /// <summary>Why a controller could not create what it wanted, the last time.</summary>
    public string? LastRefusal => _server.LastRefusal;

    /// <summary>Has the CEL rules of definitions read and evaluated, which the server by itself only measures; null: no more.</summary>
    public void Attach(CelRules? rules) => _server.Attach(rules);

    /// <summary>Sends a bookmark on every watch that asked for them.</summary>
    public void SendBookmarks() => _server.SendBookmarks();

    /// <summary>Once is enough; a test may stop it before its end.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        foreach (var controller in _controllers)
        {
            await controller.DisposeAsync();
        }

        _server.Stop();
        await _app.DisposeAsync();
        _server.Dispose();
        _ca?.Dispose();
    }
}
