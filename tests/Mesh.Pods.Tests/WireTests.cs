using System.Net;
using System.Text;
using Mesh.Testing;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>What somebody sees who reads the wire between the pods.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class WireTests(SharedPods pods)
{
    [Theory]
    [InlineData("web", "store", false)]
    [InlineData("web", "store", true)]
    [InlineData("web", "net", false)]
    public async Task BetweenMeshedPods_HttpIsTls_AndNothingInTheClear(string from, string to, bool ipV6)
    {
        var marker = $"marker-{Guid.NewGuid():N}";
        await using var capture = new Capture(pods.Mesh.Node);

        var path = to == "net" ? "seen" : "any";
        using var answer = await pods.Mesh[from].GetAsync($"{SharedPods.Url(to, to == "net" ? SharedPods.Net : SharedPods.Http, ipV6)}/{path}?{marker}");

        Assert.Contains(marker, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await Eventually.Async(() => capture.Records >= 2, "TLS records are on the wire");
        Assert.False(capture.Holds(marker));
    }

    [Fact]
    public async Task BetweenMeshedPods_BytesAreTls_FromTheHandshakeOn()
    {
        var marker = $"marker-{Guid.NewGuid():N}";
        await using var capture = new Capture(pods.Mesh.Node);
        using var socket = await pods.Mesh["web"].ConnectAsync(IPAddress.Parse(SharedPods.Address("store", false)), SharedPods.Smtp, cancel: TestContext.Current.CancellationToken);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"{marker}\r\nQUIT\r\n"), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(new System.Net.Sockets.NetworkStream(socket));

        Assert.Contains($"250 {marker}", await reader.ReadToEndAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), StringComparison.Ordinal);

        await Eventually.Async(() => capture is { Handshakes: >= 2, Records: >= 2 }, "a TLS handshake and records are on the wire");
        Assert.False(capture.Holds(marker));
    }

    [Fact]
    public async Task FromAPodWithoutSidecar_TheCaptureSeesIt()
    {
        // Else the tests above would prove nothing.
        var marker = $"marker-{Guid.NewGuid():N}";
        await using var capture = new Capture(pods.Mesh.Node);

        using var answer = await pods.Mesh["out"].GetAsync($"http://{pods.Mesh["store"].IpV4}:{SharedPods.Http}/any?{marker}");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await Eventually.Async(() => capture.Holds(marker), "the marker is on the wire");
    }
}
