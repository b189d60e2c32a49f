using System.Net;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>Who gets in, where an AuthorizationPolicy names one service account and the port is strict.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class PolicyTests(SharedPods pods)
{
    [Theory]
    [InlineData("web", HttpStatusCode.OK, false)]
    [InlineData("web", HttpStatusCode.OK, true)]
    [InlineData("other", HttpStatusCode.Forbidden, false)]
    [InlineData("other", HttpStatusCode.Forbidden, true)]
    public async Task ServiceAccount_Decides(string caller, HttpStatusCode expected, bool ipV6)
    {
        using var answer = await pods.Mesh[caller].GetAsync(SharedPods.Url("guarded", SharedPods.Guarded, ipV6) + "/who");

        Assert.Equal(expected, answer.StatusCode);
        Assert.Equal(expected == HttpStatusCode.OK, answer.Headers.Contains("x-server"));
    }

    [Fact]
    public async Task InProcessCaller_IsJudgedAlike()
    {
        using var answer = await pods.Mesh["web"].GetAsync(
            $"{SharedPods.Url("net", SharedPods.Net)}/call?version=1.1&policy={HttpVersionPolicy.RequestVersionOrLower}&url={Uri.EscapeDataString($"http://guarded.pods:{SharedPods.Guarded}/who")}");

        Assert.Contains("\"status\":403", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("out", MeshPod.AppUser)]
    [InlineData("web", MeshPod.ProxyUser)]
    public async Task StrictPort_RefusesPlaintext(string caller, uint user)
    {
        // From a pod without sidecar; and from a meshed one around its sidecar, which only the proxy's own user can.
        using var client = pods.Mesh[caller].Http(user);
        var got = "closed";
        try
        {
            using var answer = await client.GetAsync(new Uri($"http://{pods.Mesh["store"].IpV4}:{SharedPods.Guarded}/who"), TestContext.Current.CancellationToken);
            got = answer.Headers.Contains("x-server") ? "the app answered" : answer.StatusCode.ToString();
        }
        catch (HttpRequestException)
        {
            // Closed without an answer is a refusal as well.
        }

        Assert.True(got is "closed" or nameof(HttpStatusCode.Forbidden), got);

        // The permissive port beside it takes plaintext.
        using var open = await client.GetAsync(new Uri($"http://{pods.Mesh["store"].IpV4}:{SharedPods.Http}/who"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, open.StatusCode);
    }
}
