using System.Net;
using System.Text.Json;
using Mesh.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Policies are written, edited, broken and mended while calls run.</summary>
public sealed class PolicyChangeTests
{
    private const string Good = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: catalog, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: catalog }]
          rules:
          - { name: storefront, action: Allow, from: [{ serviceAccounts: [storefront] }] }
        """;

    private const string Refusing = Good + """

          - { name: frozen, action: Deny, to: [{ paths: [/orders] }] }
        """;

    private const string Wrong = Good + """

          - { name: frozen, action: Refuse, to: [{ paths: [/items] }] }
        """;

    [Fact]
    public async Task Policy_EditedWhileCallsRun_HoldsForTheNextRequestOfTheSameConnection()
    {
        await using var mesh = await StartAsync();
        var client = mesh.Client("storefront");
        await using var calls = new SteadyCalls(client, "http://catalog/items", "spiffe://cluster.local/ns/shop/sa/storefront");
        await calls.FlowAsync(20);
        var first = await mesh.CallAsync("storefront", "catalog", "GET", "/orders");
        Assert.Equal((HttpStatusCode.OK, HttpVersion.Version20), (first.Status, first.Version));

        for (var i = 0; i < 3; i++)
        {
            Write(mesh, Refusing);
            var refused = await UntilAsync(mesh, "storefront", "/orders", HttpStatusCode.Forbidden);
            Assert.Equal("denied by rule 'shop/catalog/frozen'", refused.Policy);
            Write(mesh, Good);
            // The refusal never reached the app, which tells connections; the connection lives on.
            Assert.Equal(first.Connection, (await UntilAsync(mesh, "storefront", "/orders", HttpStatusCode.OK)).Connection);
        }

        // What no edit was about never noticed one.
        await calls.FlowAsync(20);
        Assert.Empty(await calls.EndAsync());
    }

    [Fact]
    public async Task Policy_BrokenByAnEdit_LastGoodHoldsUntilItIsMended()
    {
        await using var mesh = await StartAsync();
        await UntilAsync(mesh, "stranger", "/items", HttpStatusCode.Forbidden);
        Assert.Equal(HttpStatusCode.OK, (await mesh.CallAsync("storefront", "catalog", "GET", "/items")).Status);

        Write(mesh, Wrong);
        var status = default(JsonElement);
        await Eventually.Async(
            async () => (status = await AcceptedAsync(mesh, "catalog")).GetProperty("status").GetString() == "False", "the API says that the edit is refused", TimeSpan.FromSeconds(30));

        Assert.EndsWith("The last good version stays in force.", status.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Contains("Refuse", status.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Forbidden, (await mesh.CallAsync("stranger", "catalog", "GET", "/items")).Status);
        Assert.Equal(HttpStatusCode.OK, (await mesh.CallAsync("storefront", "catalog", "GET", "/items")).Status);

        Write(mesh, Refusing.Replace("/orders", "/items", StringComparison.Ordinal));
        await UntilAsync(mesh, "storefront", "/items", HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Policy_NeverValid_ClosesWhatItTargetsButForProbes_UntilItIsMended()
    {
        await using var mesh = await StartAsync(Wrong);

        await UntilAsync(mesh, "storefront", "/items", HttpStatusCode.Forbidden);
        Assert.Equal(HttpStatusCode.Forbidden, (await mesh.CallAsync("stranger", "catalog", "GET", "/items")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await PolicyMesh.CallOutsideAsync(mesh.Ports["catalog"], "/items")).Status);
        Assert.Equal(HttpStatusCode.OK, (await PolicyMesh.CallOutsideAsync(mesh.Ports["catalog"], "/healthz")).Status);
        // Its neighbour is none of its targets.
        Assert.Equal(HttpStatusCode.OK, (await mesh.CallAsync("stranger", "stock", "GET", "/")).Status);
        Assert.False((await mesh.ExplainAsync("storefront", "catalog", "GET", "/items")).GetProperty("allowed").GetBoolean());
        var (exit, output, _) = await Cli.RunAsync("check", "--server", mesh.Mesh.Http, "--token", mesh.Mesh.AdminToken);
        Assert.Equal(2, exit);
        Assert.Contains("authorization-closed", output, StringComparison.Ordinal);

        Write(mesh, Good);
        await UntilAsync(mesh, "storefront", "/items", HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Forbidden, (await mesh.CallAsync("stranger", "catalog", "GET", "/items")).Status);
    }

    private static Task<PolicyMesh> StartAsync(string policy = Good) => PolicyMesh.StartAsync([("policy.yaml", policy)], ["catalog", "stock"], ["storefront", "stranger"]);

    private static void Write(PolicyMesh mesh, string policy) => File.WriteAllText(Path.Combine(mesh.Mesh.Manifests, "policy.yaml"), policy);

    private static async Task<PolicyAnswer> UntilAsync(PolicyMesh mesh, string caller, string path, HttpStatusCode status)
    {
        var answer = default(PolicyAnswer);
        await Eventually.Async(
            async () => (answer = await mesh.CallAsync(caller, "catalog", "GET", path)).Status == status, $"{caller} gets {status} for {path}", TimeSpan.FromSeconds(30));
        return answer!;
    }

    private static async Task<JsonElement> AcceptedAsync(PolicyMesh mesh, string name) =>
        (await mesh.Mesh.GetAsync("/api/v1/policies")).Single(p => p.GetProperty("name").GetString() == name)
            .GetProperty("conditions").EnumerateArray().Single(c => c.GetProperty("type").GetString() == "Accepted");
}
