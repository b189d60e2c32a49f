using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Testing;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>Calls that leave the mesh, and callers that want to use a sidecar for what it is not there for.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class EgressTests(SharedPods pods)
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Allowed_HttpPassesAsItIs_AndIsMetered(bool ipV6)
    {
        var host = Outside(ipV6);
        using var answer = await pods.Mesh["web"].GetAsync($"http://{host}:{SharedPods.Http}/egress");

        var body = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("\"line\": \"GET /egress HTTP/1.1\"", body, StringComparison.Ordinal);
        Assert.DoesNotContain("mesh-client-id", body, StringComparison.Ordinal);
        await Eventually.Async(
            async () => (await pods.Mesh["web"].AdminAsync("/metrics")).Body.Split('\n').Any(l =>
                l.StartsWith("mesh_client_call_duration_seconds_count", StringComparison.Ordinal)
                && l.Contains($"mesh_destination_service=\"{host}\"", StringComparison.Ordinal)
                && l.Contains("mesh_tls=\"none\"", StringComparison.Ordinal)),
            "the call is metered",
            PodMesh.StartLimit);
    }

    [Fact]
    public async Task Allowed_BytesPass_AndAreMetered()
    {
        var output = await pods.Mesh["web"].RunAsync(Programs.Python, Programs.App("client.py"), "smtp", $"{pods.Mesh["out"].IpV4}", $"{SharedPods.Smtp}");

        Assert.Contains("220 out ready", output, StringComparison.Ordinal);
        await Eventually.Async(
            async () => (await pods.Mesh["web"].AdminAsync("/metrics")).Body.Split('\n').Any(l =>
                l.StartsWith("mesh_client_connection_duration_seconds_count", StringComparison.Ordinal)
                && l.Contains($"mesh_destination_service=\"{pods.Mesh["out"].IpV4}:{SharedPods.Smtp}\"", StringComparison.Ordinal)),
            "the connection is metered",
            PodMesh.StartLimit);
    }

    [Fact]
    public async Task Denied_HttpGets403_AndNothingLeavesThePod()
    {
        using var answer = await pods.Mesh["other"].GetAsync($"http://{pods.Mesh["out"].IpV4}:{SharedPods.Http}/egress");

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Equal("Forbidden", answer.Headers.GetValues("mesh-error").Single());
        Assert.DoesNotContain("x-server", answer.Headers.Select(h => h.Key));

        // The mesh itself is no egress.
        using var inside = await pods.Mesh["other"].GetAsync(SharedPods.Url("store", SharedPods.Http) + "/inside");
        Assert.Equal(HttpStatusCode.OK, inside.StatusCode);
    }

    [Theory]
    [InlineData("\u0001\u0002 no HTTP at all\r\n")]
    [InlineData(null)]
    public async Task Denied_BytesAreClosed(string? first)
    {
        using var socket = await pods.Mesh["other"].ConnectAsync(pods.Mesh["out"].IpV4, SharedPods.Smtp, cancel: TestContext.Current.CancellationToken);
        if (first is not null)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(first), TestContext.Current.CancellationToken);
        }

        Assert.Equal("", await ReadAsync(socket));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task InboundPort_DialledItself_RelaysNothing(bool ipV6)
    {
        var store = pods.Mesh["store"];

        Assert.Equal("", await SayAsync(ipV6 ? store.IpV6 : store.IpV4, 4143, $"{store.IpV4}:{SharedPods.Http}"));
    }

    [Fact]
    public async Task OutboundPort_FromAnotherPod_AnswersNobody()
    {
        // What comes for 4140 is turned to the inbound port, as all that comes; and there it is for the proxy itself.
        Assert.Equal("", await SayAsync(pods.Mesh["store"].IpV4, 4140, $"{SharedPods.Address("web", false)}:{SharedPods.Http}"));
    }

    [Theory]
    [InlineData("/live", 200)]
    [InlineData("/ready", 200)]
    [InlineData("/metrics", 200)]
    [InlineData("/config_dump", 403)]
    [InlineData("/log-level", 403)]
    [InlineData("/drain", 403)]
    public async Task AdminPort_FromAnotherPod_ShowsOnlyWhatAllMaySee(string path, int expected)
    {
        using var client = pods.Mesh["out"].Http();
        using var request = new HttpRequestMessage(path == "/drain" ? HttpMethod.Post : HttpMethod.Get, $"http://{pods.Mesh["store"].IpV4}:4191{path}");
        request.Headers.Add("x-forwarded-for", "127.0.0.1");
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(expected, (int)answer.StatusCode);
        Assert.False(pods.Mesh["store"].Sidecar.HasExited);
    }

    private string Outside(bool ipV6) => ipV6 ? $"[{pods.Mesh["out"].IpV6}]" : pods.Mesh["out"].IpV4.ToString();

    /// <summary>Dials from outside of the mesh, asks for a host, and gives all that is answered.</summary>
    private async Task<string> SayAsync(IPAddress address, int port, string host)
    {
        try
        {
            using var socket = await pods.Mesh["out"].ConnectAsync(address, port, cancel: TestContext.Current.CancellationToken);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), TestContext.Current.CancellationToken);
            return await ReadAsync(socket);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // So fast that the connection was hardly made.
            return "";
        }
    }

    /// <summary>All that comes until the connection ends, by whichever way.</summary>
    private static async Task<string> ReadAsync(Socket socket)
    {
        var all = new List<byte>();
        var buffer = new byte[4096];
        try
        {
            while (await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(25), TestContext.Current.CancellationToken) is > 0 and var read)
            {
                all.AddRange(buffer.AsSpan(0, read));
            }
        }
        catch (SocketException)
        {
            // Reset: that is an end, too.
        }

        return Encoding.ASCII.GetString([.. all]);
    }
}
