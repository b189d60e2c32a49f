using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using Grpc.Core;
using Mesh.Testing;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>What a caller was answered.</summary>
/// <param name="Grpc">Null: it was no gRPC.</param>
/// <param name="Pod">Null: the mesh itself answered.</param>
internal sealed record Answered(string Id, int Status, StatusCode? Grpc, string? Pod, IReadOnlyDictionary<string, string> Headers)
{
    /// <summary>The Pod of a good answer, else how it ended: what shares are counted by.</summary>
    public string Outcome => Grpc is { } code ? (code == StatusCode.OK ? Pod! : code.ToString()) : Status is >= 200 and < 300 ? Pod! : Status.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Sends the requests of one row and compares what comes of them with what the row says.</summary>
internal sealed class Exchange(GatewayMesh mesh, RequestRow row, string via)
{
    /// <summary>Requests under way at once. With copies one: of those a process has at most 64 at once, and drops what is more.</summary>
    private readonly int _together = row.Expect.Copies.Count > 0 ? 1 : 8;

    private static readonly Marshaller<byte[]> _bytes = Marshallers.Create(b => b, b => b);
    private readonly Uri _to = mesh.Objects.WithAddress(row.To);
    private string? _carried;

    public async Task RunAsync()
    {
        var caller = await mesh.CallerAsync(row.From, via);
        var answers = new List<Answered>();
        if (row.Carry is { } carry)
        {
            var first = await SendAsync(caller);
            answers.Add(first);
            Assert.True(first.Headers.TryGetValue(carry == "cookie" ? "set-cookie" : carry, out var given), $"The first answer gave no {carry}: {Show(first)}.");
            _carried = carry == "cookie" ? given.Split(';')[0] : given;
        }

        while (answers.Count < row.Repeat)
        {
            answers.AddRange(await Task.WhenAll(Enumerable.Range(0, Math.Min(_together, row.Repeat - answers.Count)).Select(_ => SendAsync(caller))));
        }

        foreach (var answer in answers)
        {
            CheckAnswer(answer, row.Expect);
        }

        foreach (var (outcome, share) in row.Expect.Shares)
        {
            CheckShare($"answers '{outcome}'", answers.Count(a => a.Outcome == outcome), share, string.Join(", ", answers.GroupBy(a => a.Outcome).Select(g => $"{g.Key}: {g.Count()}")));
        }

        Assert.True(row.Expect.Shares.Count == 0 || answers.All(a => row.Expect.Shares.ContainsKey(a.Outcome)), $"Answers that have no share: {string.Join(", ", answers.Select(a => a.Outcome).Distinct())}.");
        Assert.True(!row.Expect.SamePod || answers.Select(a => a.Pod).Distinct().Count() == 1, $"Several Pods answered: {string.Join(", ", answers.Select(a => a.Pod))}.");
        Assert.True(
            row.Expect.Pods.Count == 0 || row.Expect.Pods.Order().SequenceEqual(answers.Select(a => a.Outcome).Distinct().Order()),
            $"Answers of {string.Join(", ", row.Expect.Pods)} were expected: {string.Join(", ", answers.GroupBy(a => a.Outcome).Select(g => $"{g.Key}: {g.Count()}"))}.");
        await CheckCopiesAsync(answers);
    }

    private async Task<Answered> SendAsync(ICaller caller)
    {
        // On a slow machine the first to ask for a name may have to ask again.
        var answer = await SendOnceAsync(caller);
        for (var again = 0; again < 5 && answer.Headers.GetValueOrDefault("mesh-error") is ("NoConfiguration" or "NoIdentity"); again++)
        {
            answer = await SendOnceAsync(caller);
        }

        return answer;
    }

    private async Task<Answered> SendOnceAsync(ICaller caller)
    {
        var id = Guid.NewGuid().ToString("N");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(40));
        return row.Protocol switch
        {
            "grpc" => await SendGrpcAsync(caller, id, limit.Token),
            "websocket" => await SendWebSocketAsync(caller, id, limit.Token),
            _ => await SendHttpAsync(caller, id, limit.Token),
        };
    }

    private async Task<Answered> SendHttpAsync(ICaller caller, string id, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(new HttpMethod(row.Method), _to)
        {
            Version = row.Protocol == "h2" ? HttpVersion.Version20 : HttpVersion.Version11,
            VersionPolicy = caller.SpeaksExactly ? HttpVersionPolicy.RequestVersionExact : HttpVersionPolicy.RequestVersionOrLower,
        };
        request.Headers.Host = row.Host;
        foreach (var (name, value) in Headers(id))
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value), $"'{name}' can't be sent.");
        }

        using var response = await SendAsync(caller, request, cancellationToken);
        if (response is null)
        {
            return new Answered(id, 0, null, null, new Dictionary<string, string>());
        }

        await response.Content.LoadIntoBufferAsync(cancellationToken);
        var headers = response.Headers.ToDictionary(h => h.Key, h => Fields.Joined(h.Value), StringComparer.OrdinalIgnoreCase);
        return new Answered(id, (int)response.StatusCode, null, headers.GetValueOrDefault(EchoServers.Pod), headers);
    }

    /// <returns>Null: no answer came, and the row expects none.</returns>
    private async Task<HttpResponseMessage?> SendAsync(ICaller caller, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await caller.Http.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException) when (row.Expect.Status == 0)
        {
            return null;
        }
    }

    private async Task<Answered> SendGrpcAsync(ICaller caller, string id, CancellationToken cancellationToken)
    {
        using var channel = caller.Channel(_to);
        var path = _to.AbsolutePath.Split('/');
        var metadata = new Metadata();
        foreach (var (name, value) in Headers(id))
        {
            metadata.Add(name, value);
        }

        using var call = channel.CreateCallInvoker().AsyncUnaryCall(
            new Method<byte[], byte[]>(MethodType.Unary, path[1], path[2], _bytes, _bytes), null, new CallOptions(metadata, cancellationToken: cancellationToken), []);
        var code = StatusCode.OK;
        Metadata? headers = null;
        try
        {
            headers = await call.ResponseHeadersAsync;
            await call;
        }
        catch (RpcException e)
        {
            code = e.StatusCode;
        }

        var fields = (headers ?? []).GroupBy(h => h.Key).ToDictionary(g => g.Key, g => Fields.Joined(g.Select(h => h.Value)), StringComparer.OrdinalIgnoreCase);
        return new Answered(id, 200, code, fields.GetValueOrDefault(EchoServers.Pod), fields);
    }

    /// <summary>Says a word and hears it back.</summary>
    private async Task<Answered> SendWebSocketAsync(ICaller caller, string id, CancellationToken cancellationToken)
    {
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        foreach (var (name, value) in Headers(id))
        {
            socket.Options.SetRequestHeader(name, value);
        }

        await socket.ConnectAsync(new UriBuilder(_to) { Scheme = "ws", Port = _to.Port }.Uri, caller.Http, cancellationToken);
        var buffer = new byte[16];
        await socket.SendAsync("word"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        var received = await socket.ReceiveAsync(buffer, cancellationToken);
        Assert.Equal("word", Encoding.UTF8.GetString(buffer, 0, received.Count));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, cancellationToken);
        var headers = socket.HttpResponseHeaders!.ToDictionary(h => h.Key, h => Fields.Joined(h.Value), StringComparer.OrdinalIgnoreCase);
        return new Answered(id, (int)socket.HttpStatusCode, null, headers.GetValueOrDefault(EchoServers.Pod), headers);
    }

    private IEnumerable<(string Name, string Value)> Headers(string id)
    {
        yield return (EchoServers.Id, id);
        if (_carried is not null)
        {
            yield return (row.Carry!, _carried);
        }

        foreach (var (name, value) in row.Headers.SelectMany(h => (h.Value as List<object> ?? [h.Value]).Select(v => (h.Key, (string)v))))
        {
            yield return (name, value);
        }
    }

    private void CheckAnswer(Answered answer, Expectation expect)
    {
        if (expect.Shares.Count == 0)
        {
            Assert.True(answer.Status == (expect.Status ?? 200), $"Status {expect.Status ?? 200} was expected: {Show(answer)}.");
        }

        if (row.Protocol == "grpc" && expect.Shares.Count == 0)
        {
            Assert.True(answer.Grpc.ToString() == (expect.Grpc ?? "OK"), $"gRPC {expect.Grpc ?? "OK"} was expected: {Show(answer)}.");
        }

        Assert.True(expect.Backend is null || answer.Pod == expect.Backend, $"Pod {expect.Backend} was expected: {Show(answer)}.");
        var location = answer.Headers.GetValueOrDefault("location");
        Assert.True(expect.Location is null || location == expect.Location, $"Location {expect.Location} was expected: {Show(answer)}.");
        CheckHeaders("the answer", expect.Headers, answer.Headers);
        var seen = mesh.SeenOf(answer.Id);
        Assert.True(expect.Attempts is null || seen.Count == expect.Attempts, $"{expect.Attempts} attempts were expected: {Show(answer)}.");
        if (expect.Request is { } request)
        {
            var one = seen.LastOrDefault(s => s.Pod == answer.Pod);
            Assert.True(one is not null, $"No Pod saw the request: {Show(answer)}.");
            Assert.True(request.Method is null || one.Method == request.Method, $"Method {request.Method} was expected: {one}.");
            Assert.True(request.Path is null || one.Target == request.Path, $"Path {request.Path} was expected: {one}.");
            Assert.True(request.Host is null || one.Host == request.Host, $"Host {request.Host} was expected: {one}.");
            Assert.True(request.Protocol is null || one.Protocol == request.Protocol, $"{request.Protocol} was expected: {one}.");
            CheckHeaders("the request", request.Headers, one.Headers);
        }
    }

    private static void CheckHeaders(string of, Dictionary<string, string?> expected, IReadOnlyDictionary<string, string> actual)
    {
        foreach (var (name, value) in expected)
        {
            Assert.True(actual.GetValueOrDefault(name) == value, $"In {of}, '{name}' was to be '{value ?? "absent"}' and is '{actual.GetValueOrDefault(name) ?? "absent"}'.");
        }
    }

    /// <summary>Chance may go six standard deviations astray: less than once in 10⁸ runs.</summary>
    private void CheckShare(string what, int count, double share, string all)
    {
        var (mean, astray) = (row.Repeat * share, share is 0 or 1 ? 0 : 6 * Math.Sqrt(row.Repeat * share * (1 - share)));
        Assert.True(Math.Abs(count - mean) <= astray, string.Create(CultureInfo.InvariantCulture, $"Of {row.Repeat}, {mean:0} ± {astray:0} {what} were expected, not {count} ({all})."));
    }

    /// <summary>Nobody waits for a copy, so they are counted when as many came as must; more must not have come by the end.</summary>
    private async Task CheckCopiesAsync(List<Answered> answers)
    {
        foreach (var (pod, share) in row.Expect.Copies)
        {
            var fewest = share >= 1 ? row.Repeat * share : row.Repeat * share - (6 * Math.Sqrt(row.Repeat * share * (1 - share)));
            int Count() => answers.Sum(a => mesh.SeenOf(a.Id).Count(s => s.Pod == pod));
            await Eventually.Async(() => Count() >= fewest, $"{fewest:0} copies at {pod}", TimeSpan.FromSeconds(20));
            if (share < 1)
            {
                CheckShare($"copies at {pod}", Count(), share, "copies");
            }
            else
            {
                Assert.Equal(fewest, Count());
            }
        }
    }

    private string Show(Answered answer) =>
        $"{answer.Status}{(answer.Grpc is null ? string.Empty : $" gRPC {answer.Grpc}")} from {answer.Pod ?? "nobody"} ({string.Join(", ", answer.Headers.Select(h => $"{h.Key}: {h.Value}"))}), seen by [{string.Join("; ", mesh.SeenOf(answer.Id).Select(s => $"{s.Pod} {s.Method} {s.Target}"))}]";
}
