using System.Collections.Concurrent;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.Cli.Agent;
using Mesh.Cli.Commands;
using Mesh.ControlPlane.Translation;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Route;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>A gRPC server that is not ours under a control plane that sends whatever a case says, with callers of several identities.</summary>
public abstract class RuledServer(string peer, bool rules = true) : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-rules-").FullName;
    private readonly TestCa _ca = new("cluster.local");
    private readonly ConcurrentDictionary<string, X509Certificate2> _callers = new();
    private readonly int _port = RunningMesh.FreePort();
    private ScriptedAdsServer? _ads;
    private ChildProcess? _server;
    private SotwStream? _stream;
    private string _name = "";
    private int _version;

    /// <summary>What it calls itself towards its control plane.</summary>
    public string UserAgent { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        if ((Environment.GetEnvironmentVariable("MESH_TEST_SKIP") ?? "").Contains("foreign-peers", StringComparison.Ordinal))
        {
            return;
        }

        var certificates = Path.Combine(_folder, "certs");
        new IdentityFiles(certificates).Write(_ca.Identity("shop", "cart"));
        _ads = await ScriptedAdsServer.StartAsync();
        var bootstrap = Path.Combine(_folder, "bootstrap.json");
        await File.WriteAllTextAsync(bootstrap, XdsBootstrapCommand.Build("shop", certificates, _ads.Address.Authority, "host", ["127.0.0.1"]).ToJsonString());
        _server = await ForeignServer.StartAsync(peer, bootstrap, $"127.0.0.1:{_port}", peer, [RuleCases.Add, RuleCases.Remove, RuleCases.AddInLowerCase, RuleCases.Reset], rules);
        _stream = (SotwStream)await _ads.NextStreamAsync(TimeSpan.FromSeconds(60));
        var request = await _stream.NextAsync(XdsTypes.Listener);
        UserAgent = request.Node.UserAgentName;
        _name = Assert.Single(request.ResourceNames);
        Assert.Equal($"{XdsTypes.GrpcServerPrefix}127.0.0.1:{_port}", _name);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        if (_ads is not null)
        {
            await _ads.DisposeAsync();
        }

        _ca.Dispose();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Sends the case's listener and makes its calls. Before it, one under which the first call ends otherwise: so that what is seen is the case's doing.</summary>
    internal async Task CheckAsync(RuleCase given)
    {
        NodePeer.SkipUnlessInstalled();
        var first = given.Calls.Count > 0 ? given.Calls[0] : new RuleCall("storefront", RuleCases.Add, StatusCode.OK);
        var opposite = first.Expected == StatusCode.OK ? RbacProtos.AllowFilter() : RbacProtos.AllowFilter(RbacProtos.Rule(RbacProtos.AnyPath, RbacProtos.Anyone));
        var before = first.Expected == StatusCode.OK ? StatusCode.PermissionDenied : StatusCode.OK;
        Assert.Null(await SendAsync([opposite], new Dictionary<string, Mesh.Protos.Envoy.Filters.RBACPerRoute>()));
        await UntilAsync(first with { Expected = before });

        var nack = await SendAsync(given.Filters, given.Overrides);
        Assert.True(given.IsNacked == nack is not null, $"refused with: {nack ?? "nothing"}");
        if (given.IsNacked)
        {
            Assert.Equal(before, (await CallAsync(first)).Code);
            return;
        }

        await UntilAsync(first);
        foreach (var call in given.Calls)
        {
            var (code, text) = await CallAsync(call);
            Assert.True(code == call.Expected, $"{call.Caller} {call.Path} {string.Join(' ', call.Headers)}: {code} {text}, expected {call.Expected}. {_server!.Errors}");
        }
    }

    /// <returns>Why it refuses these filters; null when it takes them.</returns>
    internal Task<string?> RefusesAsync(HttpFilter filter) => SendAsync([filter], new Dictionary<string, Mesh.Protos.Envoy.Filters.RBACPerRoute>());

    /// <summary>Sends filters under which a call is the server's end.</summary>
    /// <returns>What it says when it ends.</returns>
    internal async Task<string> EndAsync(HttpFilter filter, RuleCall call)
    {
        Assert.Null(await RefusesAsync(filter));
        await Eventually.Async(async () => (await CallAsync(call)).Code != StatusCode.OK && _server!.HasExited, "the server ends", TimeSpan.FromSeconds(15));
        return _server!.Errors;
    }

    /// <summary>Anybody with a certificate is answered.</summary>
    internal Task CheckOpenAsync() => UntilAsync(new RuleCall("prod/api", RuleCases.Reset, StatusCode.OK));

    private async Task UntilAsync(RuleCall call)
    {
        var last = (StatusCode.Unknown, "");
        try
        {
            await Eventually.Async(async () => (last = await CallAsync(call)).Item1 == call.Expected, $"{call.Caller} {call.Path} ends with {call.Expected}", TimeSpan.FromSeconds(15));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message} Last: {last}. {_server!.Errors}", e);
        }
    }

    private Task<(StatusCode Code, string Text)> CallAsync(RuleCall call) => RawClient.CallAsync(_port, _callers.GetOrAdd(call.Caller, Certificate), call.Path, call.Headers);

    private X509Certificate2 Certificate(string caller) => caller.Split('/') is [var ns, var account] ? _ca.Identity(ns, account).Svid.Leaf : _ca.Identity("shop", caller).Svid.Leaf;

    /// <returns>Why it was refused; null when it was taken.</returns>
    private async Task<string?> SendAsync(IReadOnlyList<HttpFilter> filters, IReadOnlyDictionary<string, Mesh.Protos.Envoy.Filters.RBACPerRoute> overrides)
    {
        var listener = ListenerTranslator.GrpcServer(_name, "127.0.0.1", _port, tls: true, ListenerTranslator.InboundHttp([.. filters], []));
        if (overrides.Count > 0)
        {
            var manager = listener.FilterChains[0].Filters[0].TypedConfig.Unpack<HttpConnectionManager>();
            foreach (var (prefix, config) in overrides)
            {
                manager.RouteConfig.VirtualHosts[0].Routes.Insert(0, new Route
                {
                    Name = prefix,
                    Match = new RouteMatch { Prefix = prefix },
                    NonForwardingAction = new NonForwardingAction(),
                    TypedPerFilterConfig = { [RbacProtos.Allow] = Any.Pack(config) },
                });
            }

            listener.FilterChains[0].Filters[0].TypedConfig = Any.Pack(manager);
        }

        var nonce = $"{++_version}";
        await _stream!.SendAsync(new DiscoveryResponse { TypeUrl = XdsTypes.Listener, VersionInfo = nonce, Nonce = nonce, Resources = { Any.Pack(listener) } });
        DiscoveryRequest answer;
        do
        {
            answer = await _stream.NextAsync(XdsTypes.Listener);
        }
        while (answer.ResponseNonce != nonce);
        return answer.ErrorDetail?.Message;
    }
}
