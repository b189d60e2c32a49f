using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Admission;
using Mesh.Testing.Kubernetes.Cel;
using Mesh.Testing.Kubernetes.Discovery;
using Mesh.Testing.Kubernetes.Patching;
using Mesh.Testing.Kubernetes.Rbac;
using Mesh.Testing.Kubernetes.Storage;
using Mesh.Testing.Kubernetes.Watching;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes;

/// <summary>The way of a request: log, faults, who, may it, and then the verb.</summary>
internal sealed class ApiServer
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

    public void Stop()
    {
        _stopping.Cancel();
        _tokens.Dispose();
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

    /// <summary>A test's own write; it waits for nothing but memory.</summary>
    public JsonObject Set(JsonObject json, bool replace = false)
    {
        var resource = _resources.OfKind(json.Text("apiVersion"), json.Text("kind"))
            ?? throw new StatusException(404, "NotFound", $"no matches for kind \"{json.Text("kind")}\" in version \"{json.Text("apiVersion")}\"");
        var ns = resource.Namespaced ? json.Namespace() is { Length: > 0 } named ? named : "default" : "";
        if (ns != "" && Store.Find("/namespaces", "", ns) is null)
        {
            Set(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = ns } });
        }

        var version = ResourceTable.Split(json.Text("apiVersion")).Version;
        var request = ApiRequest.Internal(resource, ns, json.Name()) with { Version = version, KeepsStatus = true };
        return replace && Store.Find(resource, ns, json.Name()) is not null
            ? Done(_writer.ChangeAsync(request, resource, _ => json.Copy(), create: true)).Json
            : Done(_writer.ChangeAsync(request, resource, old => Settled(old, json), create: true)).Json;
    }

    /// <summary>A controller's create: admission has its say.</summary>
    public async Task<bool> TryCreateAsync(string qualified, JsonObject json, CancellationToken ct)
    {
        var resource = Resource(qualified);
        var request = ApiRequest.Internal(resource, json.Namespace(), "") with { IsInternal = false, Verb = "create", User = ApiUser.Controller };
        try
        {
            ct.ThrowIfCancellationRequested();
            await _writer.CreateAsync(request, resource, json);
            return true;
        }
        catch (StatusException refused)
        {
            LastRefusal = refused.Message;
            return false;
        }
    }

    /// <summary>Why a controller could not do what it wanted.</summary>
    public string? LastRefusal { get; private set; }

    public void Delete(string resource, string ns, string name)
    {
        var found = Resource(resource);
        Done(_writer.DeleteAsync(ApiRequest.Internal(found, ns, name), found, null));
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
        if (user is null && !_discovery.IsOpen(path))
        {
            throw new StatusException(401, "Unauthorized", "Unauthorized");
        }

        if (request is null)
        {
            if (!_discovery.IsOpen(path))
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

    private async Task DoAsync(ApiRequest request, KubeResource resource)
    {
        switch (request.Verb)
        {
            case "get":
                var found = Store.Find(resource, request.Namespace, request.Name) ?? throw StatusException.NotFound(resource, request.Name);
                await Answer.SendAsync(request, 200, Show(request, resource, Conversion.To(resource, request.Version, found.Json)));
                break;
            case "list":
                await Answer.SendAsync(request, 200, Show(request, resource, _lists.List(request, resource)));
                break;
            case "watch":
                await new WatchStream(_options, Store, Faults, request, resource, json => Show(request, resource, json)) { BookmarkCalls = BookmarkCalls }.RunAsync(_stopping.Token);
                break;
            case "create":
                await CreateAsync(request, resource);
                break;
            case "update":
                var body = await Answer.BodyAsync(request);
                await SendChangedAsync(request, resource, await _writer.ChangeAsync(request, resource, _ => body.Copy()));
                break;
            case "patch":
                var (change, create) = PatchBody.Read(request, resource, await Answer.RawBodyAsync(request), KubeJson.Time(_options.Time.GetUtcNow()));
                if (create && Store.Find(resource, request.Namespace, request.Name) is null)
                {
                    Authorize(request.User, Authorizer.Of(request) with { Verb = "create" });
                }

                await SendChangedAsync(request, resource, await _writer.ChangeAsync(request, resource, change, create));
                break;
            case "delete":
                await DeleteAsync(request, resource);
                break;
            case "deletecollection":
                await DeleteCollectionAsync(request, resource);
                break;
        }
    }

    /// <summary>As the caller accepts it.</summary>
    private JsonObject Show(ApiRequest request, KubeResource resource, JsonObject json) =>
        TableView.IsAsked(request) ? TableView.Of(request, resource, json, _options.Time.GetUtcNow()) : json;

    private async Task CreateAsync(ApiRequest request, KubeResource resource)
    {
        var body = await Answer.BodyAsync(request);
        if (_reviews.Answer(request, resource, body) is { } reviewed)
        {
            await Answer.SendAsync(request, 201, reviewed);
            return;
        }

        if (request.Subresource == "token")
        {
            _ = Store.Find(resource, request.Namespace, request.Name) ?? throw StatusException.NotFound(resource, request.Name);
            await Answer.SendAsync(request, 201, _reviews.IssueToken(request, body));
            return;
        }

        if (request.Name != "")
        {
            throw StatusException.NotAllowed();
        }

        var made = await _writer.CreateAsync(request, resource, body);
        await Answer.SendAsync(request, 201, Conversion.To(resource, request.Version, made));
    }

    private static Task SendChangedAsync(ApiRequest request, KubeResource resource, (JsonObject Json, bool Created) changed) =>
        Answer.SendAsync(request, changed.Created ? 201 : 200, Conversion.To(resource, request.Version, changed.Json));

    private async Task DeleteAsync(ApiRequest request, KubeResource resource)
    {
        var seen = Store.Find(resource, request.Namespace, request.Name);
        var (json, gone) = await _writer.DeleteAsync(request, resource, await Answer.DeleteOptionsAsync(request));
        if (!gone || resource.Qualified is "pods" or "namespaces")
        {
            await Answer.SendAsync(request, 200, Conversion.To(resource, request.Version, json));
            return;
        }

        var details = new JsonObject { ["name"] = request.Name };
        if (resource.Group != "")
        {
            details["group"] = resource.Group;
        }

        details["kind"] = resource.Plural;
        details["uid"] = seen?.Json.Text("metadata", "uid");
        await Answer.SendAsync(request, 200, new JsonObject { ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["status"] = "Success", ["details"] = details });
    }

    private async Task DeleteCollectionAsync(ApiRequest request, KubeResource resource)
    {
        var options = await Answer.DeleteOptionsAsync(request);
        var list = _lists.List(request, resource);
        foreach (var item in list.Items("items").OfType<JsonObject>())
        {
            await _writer.DeleteAsync(request with { Name = item.Name(), Namespace = item.Namespace() }, resource, options);
        }

        await Answer.SendAsync(request, 200, list);
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

    /// <summary>What a test says of an object, over what is there: its own fields win, and lists are taken whole.</summary>
    private static JsonObject Settled(JsonObject? old, JsonObject json)
    {
        if (old is null)
        {
            return json.Copy();
        }

        var settled = json.Copy();
        foreach (var field in (string[])["uid", "creationTimestamp", "generation", "deletionTimestamp", "managedFields"])
        {
            if (old.At("metadata", field) is { } kept)
            {
                settled.Meta().Default(field, kept.DeepClone());
            }
        }

        settled.Meta().Remove("resourceVersion");
        if (old["status"] is { } status)
        {
            settled.Default("status", status.DeepClone());
        }

        if (old.Text("spec", "clusterIP") is { Length: > 0 } address && settled["spec"] is JsonObject spec)
        {
            spec.Default("clusterIP", address);
        }

        return settled;
    }

    /// <summary>Writes of a test's own meet no webhook, hence nothing to wait for.</summary>
    private static T Done<T>(Task<T> task) => task.GetAwaiter().GetResult();
}
