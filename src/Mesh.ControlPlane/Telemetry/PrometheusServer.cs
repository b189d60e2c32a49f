using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>One sample as the server answers it.</summary>
internal readonly record struct PromSample(DateTimeOffset At, double Value);

/// <summary>One series of an answer.</summary>
internal sealed record PromSeries(IReadOnlyDictionary<string, string> Labels, IReadOnlyList<PromSample> Samples)
{
    public string this[string label] => Labels.GetValueOrDefault(label, string.Empty);
}

/// <summary>Asks a Prometheus server, or one that answers like it (HTTP API v1). Every way it can fail is a <see cref="GoldenUnavailableException"/>.</summary>
internal sealed class PrometheusServer : IDisposable
{
    /// <summary>Of one answer; more is no answer to a question of ours.</summary>
    private const int MaxBytes = 64 << 20;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);
    private readonly Uri _address;
    private readonly string? _tokenFile;
    private readonly HttpClient _http;

    public PrometheusServer(Uri address, string? tokenFile, HttpMessageHandler? handler = null)
    {
        _address = address.AbsoluteUri.EndsWith('/') ? address : new Uri(address.AbsoluteUri + "/");
        _tokenFile = tokenFile;
        _http = new HttpClient(handler ?? new SocketsHttpHandler { UseProxy = false, ConnectTimeout = TimeSpan.FromSeconds(3) }) { Timeout = Timeout, MaxResponseContentBufferSize = MaxBytes };
    }

    /// <summary>The answer at one moment: a sample of each series, or all of a range that was asked for.</summary>
    public Task<IReadOnlyList<PromSeries>> QueryAsync(string query, DateTimeOffset at, CancellationToken cancellationToken) =>
        SendAsync("api/v1/query", [new("query", query), new("time", Number(at))], cancellationToken);

    public Task<IReadOnlyList<PromSeries>> QueryRangeAsync(string query, DateTimeOffset from, DateTimeOffset to, TimeSpan step, CancellationToken cancellationToken) =>
        SendAsync("api/v1/query_range", [new("query", query), new("start", Number(from)), new("end", Number(to)), new("step", step.TotalSeconds.ToString(CultureInfo.InvariantCulture))], cancellationToken);

    /// <summary>Seconds since 1970, as PromQL's <c>@</c> and the API take them.</summary>
    public static string Number(DateTimeOffset time) => (time.ToUnixTimeMilliseconds() / 1000.0).ToString("0.000", CultureInfo.InvariantCulture);

    /// <summary>As it stands in quotes.</summary>
    public static string Quoted(string value) => '"' + value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal) + '"';

    public void Dispose() => _http.Dispose();

    private async Task<IReadOnlyList<PromSeries>> SendAsync(string path, KeyValuePair<string, string>[] form, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_address, path)) { Content = new FormUrlEncodedContent(form) };
            if (_tokenFile is not null)
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(_tokenFile, cancellationToken)).Trim());
            }

            using var response = await _http.SendAsync(request, cancellationToken);
            var text = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw Unavailable($"it answered {(int)response.StatusCode}{Why(text)}");
            }

            return Read(text);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Unavailable(e.Message, e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unavailable($"it did not answer within {Timeout.TotalSeconds:0} s", e);
        }
    }

    private static string Why(byte[] text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.TryGetProperty("error", out var error) ? $": {error}" : string.Empty;
        }
        catch (JsonException)
        {
            // An answer of something before it.
            return string.Empty;
        }
    }

    private static List<PromSeries> Read(byte[] text)
    {
        using var document = JsonDocument.Parse(text);
        var all = new List<PromSeries>();
        foreach (var one in document.RootElement.GetProperty("data").GetProperty("result").EnumerateArray())
        {
            var labels = one.GetProperty("metric").EnumerateObject().ToDictionary(l => l.Name, l => l.Value.GetString() ?? string.Empty, StringComparer.Ordinal);
            all.Add(new PromSeries(labels, one.TryGetProperty("value", out var value) ? [Sample(value)] : [.. one.GetProperty("values").EnumerateArray().Select(Sample)]));
        }

        return all;
    }

    private static PromSample Sample(JsonElement pair) => new(
        DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Round(pair[0].GetDouble() * 1000)), double.Parse(pair[1].GetString()!, CultureInfo.InvariantCulture));

    private GoldenUnavailableException Unavailable(string why, Exception? inner = null) =>
        new($"Prometheus at {_address} can't be asked: {why}. Look at --prometheus (and --prometheus-token-file).", inner);
}
