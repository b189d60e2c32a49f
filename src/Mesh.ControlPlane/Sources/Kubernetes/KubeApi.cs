using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using k8s;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>The Kubernetes API server, by paths and JSON. KubernetesClient knows who we are and whom to trust; what is asked and what an answer means is said here.</summary>
/// <remarks>Thread-safe. Every request but a watch ends within <see cref="Timeout"/>.</remarks>
internal sealed class KubeApi(k8s.Kubernetes client, TimeProvider time) : IDisposable
{
    private const string Json = "application/json";
    private const string MetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    private const string MetadataObject = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

    /// <summary>Where a pod's own namespace stands.</summary>
    private const string NamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

    /// <summary>How long an answer may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Told of every answer, and of none (status 0): what was asked, what came, and after how long. It must not block or throw.</summary>
    public Action<HttpMethod, HttpStatusCode, TimeSpan>? Answered { get; set; }

    /// <summary>Where the API server is.</summary>
    public Uri Server => client.BaseUri;

    /// <summary>By the service account of the pod that we run in.</summary>
    /// <exception cref="InvalidOperationException">This is no pod.</exception>
    public static KubeApi InCluster(TimeProvider time)
    {
        if (!KubernetesClientConfiguration.IsInCluster())
        {
            throw new InvalidOperationException("This is no pod of a Kubernetes cluster: KUBERNETES_SERVICE_HOST or the service account's token is missing. Run it in a cluster, or name a kubeconfig.");
        }

        return Of(KubernetesClientConfiguration.InClusterConfig(), time);
    }

    /// <param name="file">Null: <c>KUBECONFIG</c>, else <c>~/.kube/config</c>.</param>
    /// <param name="context">Null: the file's current one.</param>
    /// <exception cref="InvalidDataException">The file can't be used.</exception>
    public static KubeApi FromKubeconfig(string? file, string? context, TimeProvider time)
    {
        try
        {
            return Of(KubernetesClientConfiguration.BuildConfigFromConfigFile(file, context), time);
        }
        catch (Exception e) when (e is k8s.Exceptions.KubeConfigException or IOException or UnauthorizedAccessException or YamlDotNet.Core.YamlException)
        {
            throw new InvalidDataException($"The kubeconfig can't be used: {e.Message} Name another with --kubeconfig, or another context with --context.", e);
        }
    }

    /// <param name="authority">PEM of the roots to trust; null: the machine's.</param>
    public static KubeApi At(Uri server, string? token, string? authority, TimeProvider time)
    {
        var configuration = new KubernetesClientConfiguration { Host = server.ToString(), AccessToken = token };
        if (authority is not null)
        {
            configuration.SslCaCerts = [];
            configuration.SslCaCerts.ImportFromPem(authority);
        }

        return Of(configuration, time);
    }

    /// <param name="tokenFile">Read again as it changes; null: none is needed.</param>
    /// <param name="authority">PEM of the roots to trust; null: the machine's.</param>
    public static KubeApi WithTokenFile(Uri server, string? tokenFile, string? authority, TimeProvider time)
    {
        var configuration = new KubernetesClientConfiguration { Host = server.ToString(), TokenProvider = tokenFile is null ? null : new k8s.Authentication.TokenFileAuth(tokenFile) };
        if (authority is not null)
        {
            configuration.SslCaCerts = [];
            configuration.SslCaCerts.ImportFromPem(authority);
        }

        return Of(configuration, time);
    }

    /// <summary>The namespace of the pod that we run in; null when this is none.</summary>
    public static string? OwnNamespace() => File.Exists(NamespaceFile) ? File.ReadAllText(NamespaceFile).Trim() : null;

    /// <returns>Null when it does not exist.</returns>
    /// <exception cref="KubeApiException">The server refused, or can't be reached.</exception>
    public async Task<JsonObject?> GetAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await SendAsync(HttpMethod.Get, path, null, null, cancellationToken);
        }
        catch (KubeApiException e) when (e.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    /// <summary>All of a list.</summary>
    /// <exception cref="KubeApiException">404 too: there is no such resource.</exception>
    public async Task<KubeList> ListAsync(string path, CancellationToken cancellationToken, int pageSize = 500)
    {
        var items = new List<JsonObject>();
        var version = string.Empty;
        await foreach (var page in ListPagesAsync(path, cancellationToken, pageSize))
        {
            items.AddRange(page.Items);
            version = page.ResourceVersion;
        }

        return new KubeList(items, version);
    }

    /// <summary>A list page by page, so that what was read of one can go before the next comes.</summary>
    /// <param name="metadataOnly">Nothing but <c>metadata</c> is sent (PartialObjectMetadata).</param>
    /// <exception cref="KubeApiException">404 too: there is no such resource. 410: the pages went too old, begin again.</exception>
    public async IAsyncEnumerable<KubeList> ListPagesAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken, int pageSize = 500, bool metadataOnly = false)
    {
        string? next = null;
        do
        {
            var asked = With(path, $"limit={pageSize}" + (next is null ? string.Empty : $"&continue={Uri.EscapeDataString(next)}"));
            var page = await SendAsync(HttpMethod.Get, asked, null, null, cancellationToken, metadataOnly ? MetadataList : Json);
            var (version, kind) = (page["apiVersion"]?.GetValue<string>(), page["kind"]?.GetValue<string>());
            var items = new List<JsonObject>();
            foreach (var item in page["items"] as JsonArray ?? [])
            {
                if (item is JsonObject one)
                {
                    // Items of a list do not say what they are.
                    one["apiVersion"] ??= version;
                    one["kind"] ??= kind?.EndsWith("List", StringComparison.Ordinal) == true ? kind[..^4] : kind;
                    items.Add(one);
                }
            }

            var meta = page["metadata"] as JsonObject;
            next = meta?["continue"]?.GetValue<string>();
            yield return new KubeList(items, meta?["resourceVersion"]?.GetValue<string>() ?? string.Empty);
        }
        while (!string.IsNullOrEmpty(next));
    }

    /// <summary>What happens to a list after a version of it, bookmarks too, until the server ends it.</summary>
    /// <param name="silence">When nothing came for so long (no bookmark either) the watch is taken for dead: a <see cref="TimeoutException"/>.</param>
    /// <exception cref="KubeApiException">410: the version is too old, list again.</exception>
    public async IAsyncEnumerable<WatchEvent> WatchAsync(
        string path, string resourceVersion, TimeSpan silence, [EnumeratorCancellation] CancellationToken cancellationToken, bool metadataOnly = false)
    {
        var asked = With(path, string.Create(CultureInfo.InvariantCulture, $"watch=true&allowWatchBookmarks=true&resourceVersion={Uri.EscapeDataString(resourceVersion)}"));
        using var alive = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var silent = time.CreateTimer(_ => alive.Cancel(), null, Timeout, System.Threading.Timeout.InfiniteTimeSpan);
        using var response = await OpenAsync(HttpMethod.Get, asked, null, null, alive.Token, cancellationToken, metadataOnly ? MetadataObject : Json);
        await using var stream = await response.Content.ReadAsStreamAsync(alive.Token);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        while (true)
        {
            silent.Change(silence, System.Threading.Timeout.InfiniteTimeSpan);
            string? line;
            try
            {
                line = await reader.ReadLineAsync(alive.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new TimeoutException($"The watch of {path} said nothing for {silence.TotalSeconds:0} s.");
            }

            if (line is null)
            {
                yield break;
            }

            if (line.Length > 0)
            {
                yield return Event(path, line);
            }
        }
    }

    public Task<JsonObject> CreateAsync(string path, JsonObject body, CancellationToken cancellationToken) => SendAsync(HttpMethod.Post, path, body, "application/json", cancellationToken);

    /// <exception cref="KubeApiException">409: somebody changed it after the version in the body.</exception>
    public Task<JsonObject> ReplaceAsync(string path, JsonObject body, CancellationToken cancellationToken) => SendAsync(HttpMethod.Put, path, body, "application/json", cancellationToken);

    /// <param name="body">An array for <see cref="KubePatch.Json"/>, else an object.</param>
    /// <param name="fieldManager">Who owns what is written: needed for <see cref="KubePatch.Apply"/>.</param>
    /// <param name="force">For <see cref="KubePatch.Apply"/>: fields that others own are taken from them.</param>
    public Task<JsonObject> PatchAsync(string path, JsonNode body, KubePatch kind, string fieldManager, CancellationToken cancellationToken, bool force = false) => SendAsync(
        HttpMethod.Patch, With(path, $"fieldManager={Uri.EscapeDataString(fieldManager)}" + (force ? "&force=true" : string.Empty)), body, kind switch
        {
            KubePatch.Json => "application/json-patch+json",
            KubePatch.Apply => "application/apply-patch+yaml", // JSON is YAML.
            _ => "application/merge-patch+json",
        }, cancellationToken);

    /// <summary>Deletes; that it was gone already is no error.</summary>
    public async Task DeleteAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(HttpMethod.Delete, path, null, null, cancellationToken);
        }
        catch (KubeApiException e) when (e.Status == HttpStatusCode.NotFound)
        {
            // As wanted.
        }
    }

    /// <summary>What is no JSON object: <c>/livez</c>, or another server behind the API server's proxy.</summary>
    public async Task<string> GetTextAsync(string path, CancellationToken cancellationToken)
    {
        using var limit = Limit(cancellationToken);
        using var response = await OpenAsync(HttpMethod.Get, path, null, null, limit.Token, cancellationToken);
        return await response.Content.ReadAsStringAsync(limit.Token);
    }

    /// <summary>Sends a request as whoever we are; its address is a path of the API server. Errors of HTTP are answers here.</summary>
    /// <param name="streams">The answer is read as it comes, for as long as it lasts.</param>
    /// <exception cref="KubeApiException">The server can't be reached.</exception>
    public async Task<HttpResponseMessage> ForwardAsync(HttpRequestMessage request, CancellationToken cancellationToken, bool streams = false)
    {
        using var limit = Limit(cancellationToken);
        try
        {
            if (client.Credentials is { } credentials)
            {
                await credentials.ProcessHttpRequestAsync(request, limit.Token);
            }

            return await client.HttpClient.SendAsync(request, streams ? HttpCompletionOption.ResponseHeadersRead : HttpCompletionOption.ResponseContentRead, limit.Token);
        }
        catch (Exception e) when (Broke(e, cancellationToken) is { } why)
        {
            throw KubeApiException.Unreachable(Server, why, e);
        }
    }

    public void Dispose() => client.Dispose();

    private static KubeApi Of(KubernetesClientConfiguration configuration, TimeProvider time)
    {
        // A watch is open for as long as it is; whoever asks sets limits.
        configuration.HttpClientTimeout = System.Threading.Timeout.InfiniteTimeSpan;
        return new KubeApi(new k8s.Kubernetes(configuration), time);
    }

    private static string With(string path, string query) => path + (path.Contains('?', StringComparison.Ordinal) ? '&' : '?') + query;

    private static WatchEvent Event(string path, string line)
    {
        var read = JsonNode.Parse(line) as JsonObject;
        var type = read?["type"]?.GetValue<string>();
        if (read?["object"] is not JsonObject about || type is null)
        {
            throw new JsonException($"The watch of {path} sent what is no event.");
        }

        read.Remove("object");
        return type == "ERROR" ? throw KubeApiException.Of(about, null) : new WatchEvent(type, about);
    }

    private CancellationTokenSource Limit(CancellationToken cancellationToken)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Timeout);
        return limit;
    }

    private async Task<JsonObject> SendAsync(HttpMethod method, string path, JsonNode? body, string? mediaType, CancellationToken cancellationToken, string accept = Json)
    {
        using var limit = Limit(cancellationToken);
        using var response = await OpenAsync(method, path, body, mediaType, limit.Token, cancellationToken, accept);
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(limit.Token);
            return await JsonNode.ParseAsync(stream, cancellationToken: limit.Token) as JsonObject
                ?? throw new JsonException("it is no object");
        }
        catch (Exception e) when (Broke(e, cancellationToken) is { } why)
        {
            throw KubeApiException.Unreachable(Server, why, e);
        }
    }

    /// <returns>An answer that is no error.</returns>
    private async Task<HttpResponseMessage> OpenAsync(HttpMethod method, string path, JsonNode? body, string? mediaType, CancellationToken limit, CancellationToken caller, string accept = Json)
    {
        // Not new Uri(Server, path): a server may be behind a path.
        using var request = new HttpRequestMessage(method, Server.AbsoluteUri.TrimEnd('/') + path);
        request.Headers.TryAddWithoutValidation("Accept", accept);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType!) } };
        }

        var started = time.GetTimestamp();
        HttpResponseMessage? response = null;
        try
        {
            if (client.Credentials is { } credentials)
            {
                await credentials.ProcessHttpRequestAsync(request, limit);
            }

            response = await client.HttpClient.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit);
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            using (response)
            {
                throw KubeApiException.Of(response.StatusCode, await response.Content.ReadAsStringAsync(limit), response.Headers.RetryAfter?.Delta);
            }
        }
        catch (Exception e) when (Broke(e, caller) is { } why)
        {
            throw KubeApiException.Unreachable(Server, why, e);
        }
        finally
        {
            Answered?.Invoke(method, response?.StatusCode ?? 0, time.GetElapsedTime(started));
        }
    }

    private string? Broke(Exception e, CancellationToken caller) => e switch
    {
        OperationCanceledException when !caller.IsCancellationRequested => $"no answer within {Timeout.TotalSeconds:0} s",
        HttpRequestException or IOException or JsonException => e.Message,
        _ => null,
    };
}

/// <summary>How a patch is meant.</summary>
internal enum KubePatch
{
    /// <summary>RFC 7386.</summary>
    Merge,

    /// <summary>RFC 6902.</summary>
    Json,

    /// <summary>Server-side apply: what the field manager wants, whole.</summary>
    Apply,
}

/// <param name="ResourceVersion">Where a watch goes on.</param>
internal sealed record KubeList(IReadOnlyList<JsonObject> Items, string ResourceVersion);

/// <param name="Type"><c>ADDED</c>, <c>MODIFIED</c>, <c>DELETED</c> or <c>BOOKMARK</c>.</param>
internal sealed record WatchEvent(string Type, JsonObject Object);
