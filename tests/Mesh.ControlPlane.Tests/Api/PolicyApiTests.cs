using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.Spiffe;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

/// <summary>Golden/in.yaml → policies.json and explain*.json. Rewritten with MESH_UPDATE_GOLDEN=1, then reviewed as a diff.</summary>
public sealed class PolicyApiTests
{
    private static readonly MeshModel Model = Manifests.Model(File.ReadAllText(Golden("in.yaml")));

    [Fact]
    public void Policies_AsRecorded() => Check("policies.json", PolicyStatus.List(Model));

    [Theory]
    [InlineData(null, "explain.json")]
    [InlineData("spiffe://cluster.local/ns/shop/sa/storefront", "explain-caller.json")]
    public void Explain_AsRecorded(string? caller, string file) =>
        Check(file, Explain.Of(Model, Model.Services[new ServiceName("shop", "catalog")], null, caller is null ? null : SpiffeId.Parse(caller)));

    [Theory]
    [InlineData("/api/v1/policies", 200, "slow-search")]
    [InlineData("/api/v1/explain?service=catalog", 200, "failurePercentage.threshold")]
    [InlineData("/api/v1/explain?service=catalog.shop&caller=shop/tester&port=80", 200, "\"caller\":\"shop/tester\"")]
    [InlineData("/api/v1/explain?service=catalog&namespace=shop", 200, "\"namespace\":\"shop\"")]
    [InlineData("/api/v1/explain?service=catalog.shop.svc.cluster.local", 200, "\"service\":\"catalog\"")]
    [InlineData("/api/v1/explain", 400, "Give 'service'")]
    [InlineData("/api/v1/explain?service=catalogg", 404, "There is no Service 'catalogg'. Did you mean 'catalog'?")]
    [InlineData("/api/v1/explain?service=catalog&namespace=bank", 404, "There is no Service 'bank/catalog'. There is one in shop.")]
    [InlineData("/api/v1/explain?service=catalog.bank", 404, "There is no Service 'bank/catalog'. Did you mean 'catalog'?")]
    [InlineData("/api/v1/explain?service=catalog&port=81", 404, "has no port 81. Use one of 80.")]
    [InlineData("/api/v1/explain?service=catalog&port=x", 400, "port")]
    [InlineData("/api/v1/explain?service=catalog&caller=tester", 400, "Give namespace/serviceaccount")]
    public async Task Request_IsAnswered(string path, int status, string holds)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Model);
        using var api = controlPlane.Api();
        using var response = await api.GetAsync(path, TestContext.Current.CancellationToken);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(holds, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/v1/policies")]
    [InlineData("/api/v1/explain?service=catalog")]
    public async Task Request_WithoutToken_Is401(string path)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api("wrong");
        using var response = await api.GetAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task SeveralServicesOfThatName_AskForTheNamespace()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Manifests.Model(Manifests.Service("a", ns: "x") + "\n---\n" + Manifests.Service("a", ns: "y")));
        using var api = controlPlane.Api();
        using var response = await api.GetAsync("/api/v1/explain?service=a", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("'a' is a Service in x, y.", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static void Check(string file, object answer)
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web) { WriteIndented = true };
        ApiJson.Configure(options);
        var actual = JsonSerializer.Serialize(answer, options) + "\n";
        var golden = Golden(file);
        if (Environment.GetEnvironmentVariable("MESH_UPDATE_GOLDEN") == "1")
        {
            File.WriteAllText(golden, actual);
        }

        Assert.True(File.Exists(golden), $"{golden} is missing. Run with MESH_UPDATE_GOLDEN=1 and review it.");
        Assert.Equal(File.ReadAllText(golden), actual);
    }

    private static string Golden(string name, [CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Golden", name);
}
