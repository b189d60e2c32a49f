using System.Net;
using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>Names that nobody serves.</summary>
public sealed class UnknownServiceTests(SharedMesh shared) : IClassFixture<SharedMesh>
{
    [Fact]
    public async Task Name_ThatNobodyKnows_FailsAsAPlainClientWould()
    {
        using var plain = new HttpClient();
        var expected = await Assert.ThrowsAsync<HttpRequestException>(() => plain.GetAsync(new Uri("http://nosuch/"), TestContext.Current.CancellationToken));

        var seen = await Assert.ThrowsAsync<HttpRequestException>(() => shared.Front.GetAsync(new Uri("http://nosuch/"), TestContext.Current.CancellationToken));

        Assert.Equal(HttpRequestError.NameResolutionError, seen.HttpRequestError);
        Assert.Equal((expected.HttpRequestError, expected.Message), (seen.HttpRequestError, seen.Message));
    }

    [Fact]
    public async Task Service_WithoutEndpoints_Is503NamingTheCluster()
    {
        using var response = await shared.Front.GetAsync(new Uri("http://empty/"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(["NoHealthyEndpoint"], response.Headers.GetValues("mesh-error"));
        Assert.Contains("outbound|80||empty.shop.svc.cluster.local", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Port_ThatTheServiceDoesNotHave_IsNoConnectionToAnotherOne()
    {
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => shared.Front.GetAsync(new Uri("http://catalog:81/"), TestContext.Current.CancellationToken));

        Assert.Equal(HttpRequestError.NameResolutionError, failure.HttpRequestError);
    }
}
