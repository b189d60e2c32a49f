using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli;

/// <summary>The control plane's HTTP API; every way it can fail becomes a <see cref="CliException"/>.</summary>
internal sealed class ControlPlaneApi(Uri address, string? token, HttpMessageHandler handler) : IDisposable
{
    public const string EventStream = "text/event-stream";

    private static readonly TimeSpan _timeout = TimeSpan.FromSeconds(15);
    private readonly HttpClient _http = new(handler)
    {
        BaseAddress = address,
        Timeout = _timeout,
        DefaultRequestHeaders = { Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token) },
    };

    public ControlPlaneApi(Uri address, string? token)
        : this(address, token, new SocketsHttpHandler { UseProxy = false, ConnectTimeout = TimeSpan.FromSeconds(5) })
    {
    }

    /// <summary>The cluster's control plane.</summary>
    public ControlPlaneApi(ServiceProxy proxy)
        : this(new Uri($"http://{InstallManifest.Name}.{InstallManifest.Namespace}"), null, proxy)
    {
    }

    public Uri Address => address;

    /// <summary>JSON as the API writes it: snake_case.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public Task<JsonNode> GetAsync(string path, CancellationToken cancellationToken) => SendAsync(HttpMethod.Get, path, content: null, cancellationToken);

    public Task<JsonNode> PostAsync(string path, object content, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, path, JsonContent.Create(content, options: Json), cancellationToken);

    public Task<JsonNode> DeleteAsync(string path, object content, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Delete, path, JsonContent.Create(content, options: Json), cancellationToken);

    /// <summary>What is no JSON, such as <c>/metrics</c>.</summary>
    public Task<string> GetTextAsync(string path, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Get, path, content: null, static (response, cancellationToken) => response.Content.ReadAsStringAsync(cancellationToken), cancellationToken);

    /// <summary>An array of objects; anything else is a failure that names the path.</summary>
    public async Task<JsonArray> GetArrayAsync(string path, CancellationToken cancellationToken) =>
        await GetAsync(path, cancellationToken) as JsonArray ?? throw NotUnderstood(path, "it is no array");

    /// <summary>Reads what the API answered into a type of ours.</summary>
    public T Read<T>(JsonNode node, string path)
    {
        try
        {
            return node.Deserialize<T>(Json) ?? throw NotUnderstood(path, "it is null");
        }
        catch (JsonException error)
        {
            throw NotUnderstood(path, error.Message, error);
        }
    }

    /// <summary>Events as they come, each with its name and its document, until the control plane ends the stream.</summary>
    public async IAsyncEnumerable<(string Name, JsonNode Data)> StreamAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await OpenAsync(path, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await using var items = SseParser.Create(body).EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await NextAsync(items) is { } item)
        {
            yield return (item.EventType, Parse(item.Data, path));
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<HttpResponseMessage> OpenAsync(string path, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.ParseAdd(EventStream);
        try
        {
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == EventStream)
            {
                return response;
            }

            using (response)
            {
                throw response.IsSuccessStatusCode ? NotUnderstood(path, "it is no event stream") : await RefusedAsync(path, response, cancellationToken);
            }
        }
        catch (Exception error) when (Failed(path, error, cancellationToken) is { } failure)
        {
            throw failure;
        }
    }

    private async Task<SseItem<string>?> NextAsync(IAsyncEnumerator<SseItem<string>> items)
    {
        try
        {
            return await items.MoveNextAsync() ? items.Current : null;
        }
        catch (IOException error)
        {
            throw new CliException(ExitCodes.Unreachable, $"the control plane at {address} broke off", error.Message, "see whether it still runs; ask again", error);
        }
    }

    private JsonNode Parse(string data, string path)
    {
        try
        {
            return JsonNode.Parse(data) ?? throw NotUnderstood(path, "an event is null");
        }
        catch (JsonException error)
        {
            throw NotUnderstood(path, error.Message, error);
        }
    }

    private Task<JsonNode> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken) => SendAsync(
        method, path, content, async (response, ct) => await JsonNode.ParseAsync(await response.Content.ReadAsStreamAsync(ct), cancellationToken: ct) ?? throw NotUnderstood(path, "it is null"), cancellationToken);

    private async Task<T> SendAsync<T>(HttpMethod method, string path, HttpContent? content, Func<HttpResponseMessage, CancellationToken, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(method, path) { Content = content };
            using var response = await _http.SendAsync(request, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw await RefusedAsync(path, response, cancellationToken);
            }

            return await read(response, cancellationToken);
        }
        catch (Exception error) when (Failed(path, error, cancellationToken) is { } failure)
        {
            throw failure;
        }
    }

    private CliException? Failed(string path, Exception error, CancellationToken cancellationToken) => error switch
    {
        HttpRequestException => new CliException(
            ExitCodes.Unreachable, $"the control plane at {address} could not be reached", error.Message, "check --server against the \"http\" of the control plane's ready line, and that it runs", error),
        TaskCanceledException when !cancellationToken.IsCancellationRequested => new CliException(
            ExitCodes.TimedOut, $"the control plane at {address} did not answer {path}", $"{_timeout.TotalSeconds:0} s passed", "look at the control plane's log; ask again", error),
        JsonException => NotUnderstood(path, error.Message, error),
        _ => null,
    };

    private async Task<CliException> RefusedAsync(string path, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        var (title, reason) = await ReasonAsync(response, cancellationToken);
        return response.StatusCode switch
        {
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new CliException(
                ExitCodes.NotPermitted,
                $"the control plane at {address} does not permit {path} ({status})",
                token is null ? "no token was given" : reason,
                "give --token or MESH_TOKEN: the \"token\" of the control plane's ready line"),
            // The path is there, what was asked for is not.
            HttpStatusCode.NotFound when title?.StartsWith("No such ", StringComparison.Ordinal) == true => new CliException(
                ExitCodes.Failure, char.ToLowerInvariant(title[0]) + title[1..], reason, "correct what it names"),
            HttpStatusCode.NotFound => new CliException(ExitCodes.Failure, $"{address} has no {path} (404)", reason, "check --server: is it a control plane of this version?"),
            HttpStatusCode.Conflict => new CliException(ExitCodes.Failure, "the control plane does not do that now", reason, "do what it says, or wait"),
            HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity => new CliException(
                ExitCodes.Usage, $"the control plane did not accept the request ({status})", reason, "correct what it names"),
            _ => new CliException(ExitCodes.Failure, $"the control plane at {address} failed on {path} ({status})", reason, "look at the control plane's log"),
        };
    }

    /// <summary>The detail of a problem document (RFC 9457), else the start of the body.</summary>
    private static async Task<(string? Title, string Reason)> ReasonAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        try
        {
            if (JsonNode.Parse(body) is JsonObject problem && (problem["detail"] ?? problem["title"]) is JsonValue text)
            {
                return (problem["title"]?.ToString(), text.ToString());
            }
        }
        catch (JsonException)
        {
            // Not a problem document: what was said is shown as it is.
        }

        return (null, body.Length == 0 ? response.ReasonPhrase ?? "no reason was given" : body.Length > 300 ? body[..300] : body);
    }

    private CliException NotUnderstood(string path, string why, Exception? inner = null) => new(
        ExitCodes.Failure, $"what {address} answered to {path} was not understood", why, "check --server: is it a control plane of this version?", inner);
}
