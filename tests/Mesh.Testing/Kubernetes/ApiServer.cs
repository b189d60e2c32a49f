using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Admission;
using Mesh.Testing.Kubernetes.Cel;
using Mesh.Testing.Kubernetes.Discovery;
using Mesh.Testing.Kubernetes.Rbac;
using Mesh.Testing.Kubernetes.Storage;
using Mesh.Testing.Kubernetes.Watching;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes;

/// <summary>The way of a request: log, faults, who, may it, and then the verb.</summary>
internal sealed partial class ApiServer : IDisposable
{
    private readonly FakeKubeApiOptions _options;
    private readonly ResourceTable _resources = new();
    private readonly ObjectWriter _writer;
    private readonly ListReader _lists;
    private readonly DiscoveryDocuments _discovery;
    private readonly ServiceAccountTokens _tokens;
    private readonly Authorizer _authorizer;
    private readonly Reviews _reviews;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource _bookmarkCall = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _bookmarkRound;

    public ApiServer(FakeKubeApiOptions options)
    {
        _options = options;
        _writer = new ObjectWriter(options, Store, _resources, new AdmissionChain(Store, Services));
        _lists = new ListReader(options, Store, Faults);
        _discovery = new DiscoveryDocuments(options, _resources);
        _tokens = new ServiceAccountTokens(options, Store);
        _authorizer = new Authorizer(Store);
        _reviews = new Reviews(options, _tokens, _authorizer, Static);
        foreach (var ns in (string[])["default", "kube-system", "kube-public", "kube-node-lease"])
        {
            Set(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = ns } });
        }

        foreach (var json in KubeYaml.Documents(Authorizer.Bootstrap))
        {
            Set(json);
        }
    }

    public ObjectStore Store { get; } = new();

    public Faults Faults { get; } = new();

    public RequestLog Log { get; } = new();

    public WebhookServices Services { get; } = new();

    public string AdminToken { get; } = "admin-" + Guid.NewGuid().ToString("N");

    public KubeResource Resource(string qualified) =>
        _resources.All.FirstOrDefault(r => r.Qualified == qualified) ?? throw new InvalidOperationException($"There is no resource {qualified}; there are: {string.Join(", ", _resources.All.Select(r => r.Qualified))}.");

    /// <summary>Ends watches, so that the host can end.</summary>
    public void Stop() => _stopping.Cancel();

    public void Dispose()
    {
        _stopping.Dispose();
        _tokens.Dispose();
        Faults.Dispose();
    }

    public string IssueToken(string ns, string account, string? pod, string audience, TimeSpan life) => _tokens.Issue(ns, account, pod, [audience], life);

    /// <inheritdoc cref="ObjectWriter.Rules"/>
    public void Attach(CelRules? rules) => _writer.Rules = rules;

    public void SendBookmarks()
    {
        TaskCompletionSource call;
        lock (_lock)
        {
            _bookmarkRound++;
            (call, _bookmarkCall) = (_bookmarkCall, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        call.SetResult();
    }

    public async Task HandleAsync(HttpContext http)
    {
        var request = ApiRequest.Parse(http);
        var logged = new LoggedRequest(http.Request.Method, http.Request.Path.Value!, http.Request.QueryString.Value ?? "", request?.Verb ?? "get",
            request is null ? "" : (request.Group == "" ? request.Plural : $"{request.Plural}.{request.Group}") + (request.Subresource == "" ? "" : "/" + request.Subresource),
            request?.Namespace ?? "", request?.Name ?? "", http.Request.Headers.UserAgent.ToString());
        Log.Add(logged);
        try
        {
            if (!await MeetFaultAsync(http, request))
            {
                await AnswerAsync(http, request);
            }
        }
        catch (StatusException refused)
        {
            await Answer.RefuseAsync(http, refused);
        }
        catch (JsonException bad)
        {
            await Answer.RefuseAsync(http, StatusException.BadRequest("couldn't get version/kind; json parse error: " + bad.Message));
        }
        catch (Exception broken) when (broken is not OperationCanceledException)
        {
            // A mistake of the fake, to be seen by whoever asked.
            await Answer.RefuseAsync(http, new StatusException(500, "InternalError", $"Internal error occurred: the fake failed: {broken}"));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested || _stopping.IsCancellationRequested)
        {
        }
        finally
        {
            logged.User = request?.User.Name ?? "";
            logged.Status = http.Response.StatusCode;
        }
    }

    private async Task<bool> MeetFaultAsync(HttpContext http, ApiRequest? request)
    {
        if (Faults.Delay > TimeSpan.Zero)
        {
            await Task.Delay(Faults.Delay, _options.Time, http.RequestAborted);
        }

        if (Faults.Next(http.Request.Path.Value!, request?.Verb ?? "get") is not var (status, retryAfter))
        {
            return false;
        }

        if (status == 0)
        {
            http.Abort();
            return true;
        }

        throw status switch
        {
            429 => new StatusException(429, "TooManyRequests", "Too many requests, please try again later.", []) { RetryAfter = retryAfter ?? 1 },
            503 => new StatusException(503, "ServiceUnavailable", "the server is currently unable to handle the request", []) { RetryAfter = retryAfter },
            504 => new StatusException(504, "Timeout", "the server was unable to return a response in the time allotted", []) { RetryAfter = retryAfter },
            _ => new StatusException(status, "InternalError", "Internal error occurred: a fault that the test asked for", []) { RetryAfter = retryAfter },
        };
    }

    private async Task AnswerAsync(HttpContext http, ApiRequest? request)
    {
        var path = http.Request.Path.Value!;
        var user = Authenticate(http);
        if (user is null && !DiscoveryDocuments.IsOpen(path))
        {
            throw new StatusException(401, "Unauthorized", "Unauthorized");
        }

        if (request is null)
        {
            if (!DiscoveryDocuments.IsOpen(path))
            {
                Authorize(user!, new Access(http.Request.Method.ToLowerInvariant(), "", "", "", "", path));
            }

            await _discovery.AnswerAsync(http);
            return;
        }

        request.User = user!;
        Authorize(user!, Authorizer.Of(request));
        var resource = _resources.Find(request.Group, request.Version, request.Plural);
        if (resource is null || (request.Namespace != "" && !resource.Namespaced) || (request.Namespace == "" && resource.Namespaced && request.Name != ""))
        {
            await Answer.NoPathAsync(http, _resources, request);
            return;
        }

        if (!resource.Verbs.Contains(request.Verb))
        {
            throw StatusException.NotAllowed();
        }

        if (request.Subresource != "" && !(request.Subresource == "status" && resource.HasStatus) && !resource.Subresources.Contains(request.Subresource))
        {
            await Answer.NoPathAsync(http, _resources, request);
            return;
        }

        await DoAsync(request, resource);
    }

    /// <summary>Null: nobody that the server knows.</summary>
    private ApiUser? Authenticate(HttpContext http)
    {
        var header = http.Request.Headers.Authorization.ToString();
        if (!header.StartsWith("Bearer ", StringComparison.Ordinal))
        {
            return null;
        }

        var token = header["Bearer ".Length..].Trim();
        return Static(token) ?? _tokens.Check(token, [ServiceAccountTokens.ApiAudience]).User;
    }

    private ApiUser? Static(string token) => token == AdminToken ? ApiUser.Admin : null;

    private void Authorize(ApiUser user, Access access)
    {
        if (_options.Authorize && _authorizer.Allows(user, access) is null)
        {
            throw Authorizer.Refusal(user, access);
        }
    }

    private (int Round, Task Next) BookmarkCalls()
    {
        lock (_lock)
        {
            return (_bookmarkRound, _bookmarkCall.Task);
        }
    }
}
