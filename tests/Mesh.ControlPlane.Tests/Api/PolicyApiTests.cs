using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
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

    [Fact]
    public async Task Authorization_ThatIsNotHeld_IsAnErrorOfChecks_AndAConditionOfItsStatus()
    {
        const string Broken = "apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: broken, namespace: shop}\nspec:\n  targetRefs: [{group: \"\", kind: Service, name: cart}]\n  rules: [{action: Alow}]";
        const string Lost = "apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: lost, namespace: shop}\nspec:\n  targetRefs: [{group: \"\", kind: Srvice, name: cart}]\n  rules: [{action: Deny}]";
        const string Claims = "apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: claims, namespace: shop}\nspec:\n  targetRefs: [{group: \"\", kind: Service, name: cart}]\n  rules: [{name: r, action: Deny, from: [{claims: [{name: sub, values: [x]}]}]}]";
        const string Bytes = "apiVersion: policy.meshlib.io/v1alpha1\nkind: ServerPolicy\nmetadata: {name: bytes, namespace: shop}\nspec:\n  targetRefs: [{group: \"\", kind: Service, name: cart}]\n  protocol: Opaque";
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Manifests.Slice("cart", "127.0.0.1"), Broken, Lost, Claims, Bytes)));
        using var api = controlPlane.Api();

        using var checks = JsonDocument.Parse(await api.GetStringAsync("/api/v1/checks", TestContext.Current.CancellationToken));
        string Found(string id) => Assert.Single(checks.RootElement.EnumerateArray(), c => c.GetProperty("id").GetString() == id).GetProperty("detail").GetString()!;
        Assert.Contains("AuthorizationPolicy 'shop/broken'", Found("authorization-closed"), StringComparison.Ordinal);
        Assert.Contains("'shop/lost' (in.yaml:", Found("authorization-unread"), StringComparison.Ordinal);
        Assert.Contains("rule shop/claims/r", Found("authorization-opaque"), StringComparison.Ordinal);

        var status = PolicyStatus.List(Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Claims)));
        Assert.Contains(Assert.Single(status).Conditions, c => c is { Type: "FullyEvaluated", Status: "False" } && c.Message.Contains("rule 'r' refuses without asking for claims", StringComparison.Ordinal));
    }

    [Fact]
    public void Checks_NameTheGrpcServersThatCannotAskAll()
    {
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Manifests.Slice("cart", "127.0.0.1"),
            "apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: shop}\nspec:\n  targetRefs: [{group: \"\", kind: Service, name: cart}]\n  rules: [{name: r, action: Audit}]"));

        var found = AuthorizationChecks.Run(model, ServerDefaults.Default, [Client("python", mesh: false, 8080), Client("python-2", mesh: false, 8081), Client("ours", mesh: true, 8080)]);

        var check = Assert.Single(found);
        Assert.Equal(("authorization-peer", "warning"), (check.Id, check.Result));
        Assert.StartsWith("python at 127.0.0.1:8080, AuthorizationPolicy 'shop/a'", check.Detail, StringComparison.Ordinal);
        Assert.Equal("ok", Assert.Single(AuthorizationChecks.Run(model, ServerDefaults.Default, [])).Result);

        static AdsClient Client(string id, bool mesh, int port) => new(new NodeContext(id, "shop", null) { IsMesh = mesh }, "127.0.0.1:1", default, "delta", 0, 0, null,
            [new AdsClientType(XdsTypes.Listener, "1", "1", "acked", [new AdsClientResource($"{XdsTypes.GrpcServerPrefix}127.0.0.1:{port}", null)])]);
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
