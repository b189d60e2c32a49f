using System.Diagnostics.Metrics;
using System.Net;
using System.Text.Json;
using Grpc.Core;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Policies of YAML decide at real servers, and <c>mesh explain</c> says what they will say.</summary>
public sealed class PolicyTests(PolicyTests.Fixture shared) : IClassFixture<PolicyTests.Fixture>
{
    private const string Catalog = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: catalog, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: catalog }]
          rules:
          - name: storefront
            action: Allow
            from: [{ serviceAccounts: [storefront] }]
            to:
            - { methods: [GET, POST], paths: [/items, "/items/*"] }
            - grpc: [{ service: whoami.v1.WhoAmI, method: Ask }]
          - name: reading
            action: Allow
            from: [{ serviceAccounts: [shop/reports], networks: [{ cidr: 127.0.0.0/8 }] }]
            to:
            - { methods: [GET], paths: ["/users/*/orders"] }
            - { methods: [GET], headers: [{ name: x-team, value: numbers }] }
          - name: far
            action: Allow
            from: [{ networks: [{ cidr: 203.0.113.0/24 }] }]
          - name: secrets
            action: Deny
            to: [{ paths: [/items/secret, "/admin/*"] }]
          - name: exports
            action: Audit
            to: [{ paths: [/items/export] }]
        """;

    private const string Others = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: tried, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: tried }]
          mode: Audit
          rules: [{ name: storefront, action: Allow, from: [{ serviceAccounts: [storefront] }] }]
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: ServerPolicy
        metadata: { name: known, namespace: shop }
        spec: { targetRefs: [{ group: "", kind: Service, name: known }], access: all-authenticated }
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: ServerPolicy
        metadata: { name: shut, namespace: shop }
        spec: { targetRefs: [{ group: "", kind: Service, name: shut }], access: deny }
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: ServerPolicy
        metadata: { name: strict, namespace: shop }
        spec: { targetRefs: [{ group: "", kind: Service, name: strict }], mtls: Strict }
        """;

    /// <summary>Caller, method, path, header x-team; the rule that decides, a Deny with "!" before it; none: no rule allows it.</summary>
    public static TheoryData<string, string, string, string?, string?> Requests => new()
    {
        { "storefront", "GET", "/items", null, "storefront" },
        { "storefront", "GET", "/items/7?page=2", null, "storefront" },
        { "storefront", "POST", "/items/7/parts", null, "storefront" },
        { "storefront", "DELETE", "/items/7", null, null },
        { "storefront", "GET", "/Items/7", null, null },
        { "storefront", "GET", "/items/", null, null },
        { "storefront", "GET", "/items/secret", null, "!secrets" },
        { "storefront", "GET", "/items/SECRET/", null, "!secrets" },
        { "storefront", "GET", "/admin/keys", null, "!secrets" },
        { "storefront", "GET", "/items/export", null, "storefront" },
        { "storefront", "GET", "/users/ada/orders", null, null },
        { "reports", "GET", "/users/ada/orders", null, "reading" },
        { "reports", "GET", "/users/ada/b/orders", null, null },
        { "reports", "POST", "/users/ada/orders", null, null },
        { "reports", "GET", "/anything", "numbers", "reading" },
        { "reports", "GET", "/anything", "letters", null },
        { "reports", "GET", "/admin", "numbers", "!secrets" },
        { "stranger", "GET", "/items", null, null },
        { "stranger", "GET", "/items/secret", null, "!secrets" },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Request_IsDecidedByItsRule_AndExplainSaysTheSame(string caller, string method, string path, string? team, string? rule)
    {
        (string, string)[] headers = team is null ? [] : [("x-team", team)];
        using var decisions = shared.Decisions("catalog");

        var answer = await shared.Mesh.CallAsync(caller, "catalog", method, path, headers);
        var explained = await shared.Mesh.ExplainAsync(caller, "catalog", method, path, headers);

        var allowed = rule is not null && rule[0] != '!';
        var name = rule is null ? null : "shop/catalog/" + rule.TrimStart('!');
        Assert.Equal(allowed ? HttpStatusCode.OK : HttpStatusCode.Forbidden, answer.Status);
        var verdict = Assert.Single(explained.GetProperty("verdicts").EnumerateArray());
        Assert.Equal((allowed, name), (verdict.GetProperty("allowed").GetBoolean(), verdict.GetProperty("rule").GetString()));
        Assert.Equal(allowed ? null : Told(verdict), answer.Policy);
        if (name is not null)
        {
            Assert.StartsWith("catalog-policy.yaml:", verdict.GetProperty("where").GetString(), StringComparison.Ordinal);
        }

        var counted = Assert.Single(decisions.GetMeasurementSnapshot(), m => (string)m.Tags[MeshTags.Decision]! is "authorization" or "authorization_allowed");
        Assert.Equal((allowed ? "authorization_allowed" : "authorization", name ?? "unmatched"), (counted.Tags[MeshTags.Decision], counted.Tags[MeshTags.Reason]));
    }

    [Theory]
    [InlineData("storefront", StatusCode.OK)]
    [InlineData("reports", StatusCode.PermissionDenied)]
    public async Task GrpcCall_IsDecidedByItsMethod_AndExplainSaysTheSame(string caller, StatusCode expected)
    {
        var (code, policy) = await shared.Mesh.AskAsync(caller, "catalog");
        var verdict = (await shared.Mesh.ExplainAsync(caller, "catalog", "POST", "/whoami.v1.WhoAmI/Ask", ("content-type", "application/grpc"))).GetProperty("verdicts")[0];

        Assert.Equal(expected, code);
        Assert.Equal(expected == StatusCode.OK, verdict.GetProperty("allowed").GetBoolean());
        Assert.Equal(expected == StatusCode.OK ? null : Told(verdict), policy);
    }

    [Fact]
    public async Task Denial_IsInTheLogWithItsRule_AndInTheCommand()
    {
        Assert.Equal(HttpStatusCode.Forbidden, (await shared.Mesh.CallAsync("stranger", "catalog", "GET", "/admin/told")).Status);

        // One line in ten seconds for each reason: another test's denial may have been the one that was told.
        await Eventually.Async(
            () => shared.Mesh.Mesh.Logs.GetSnapshot().Any(r => r.Id.Id == 3520 && r.Message.Contains("denied by rule 'shop/catalog/secrets'", StringComparison.Ordinal)
                && r.Message.Contains("from spiffe://cluster.local/ns/shop/sa/", StringComparison.Ordinal)),
            "the log names the rule");
        var (exit, output, _) = await Cli.RunAsync(
            "explain", "shop/stranger", "catalog", "GET", "/admin/told", "-n", "shop", "--server", shared.Mesh.Mesh.Http, "--token", shared.Mesh.Mesh.AdminToken);
        Assert.Equal(2, exit);
        Assert.Contains("shop/catalog/secrets", output, StringComparison.Ordinal);
        Assert.Contains("catalog-policy.yaml:", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Audit_CountsWhatItWouldDeny_AndRefusesNobody()
    {
        using (var decisions = shared.Decisions("catalog"))
        {
            Assert.Equal(HttpStatusCode.OK, (await shared.Mesh.CallAsync("storefront", "catalog", "GET", "/items/export")).Status);
            Assert.Contains(decisions.GetMeasurementSnapshot(), Is("audit", "shop/catalog/exports"));
        }

        using var tried = shared.Decisions("tried");
        foreach (var caller in new[] { "storefront", "stranger" })
        {
            var answer = await shared.Mesh.CallAsync(caller, "tried", "GET", "/");
            Assert.Equal((HttpStatusCode.OK, null), (answer.Status, answer.Policy));
        }

        var counted = tried.GetMeasurementSnapshot();
        Assert.Contains(counted, Is("audit_allowed", "shop/tried/storefront"));
        Assert.Contains(counted, Is("audit", "unmatched"));
        var audit = (await shared.Mesh.ExplainAsync("stranger", "tried", "GET", "/")).GetProperty("verdicts")[0];
        Assert.True(audit.GetProperty("allowed").GetBoolean());
        Assert.StartsWith("denied, because no rule allows it", audit.GetProperty("audit").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("known", HttpStatusCode.OK, HttpStatusCode.Forbidden)]
    [InlineData("shut", HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData("strict", HttpStatusCode.OK, null)]
    public async Task ServerPolicy_SaysWhoGetsIn_AndProbesDoAnyway(string service, HttpStatusCode ofMesh, HttpStatusCode? inPlaintext)
    {
        var port = shared.Mesh.Ports[service];

        Assert.Equal(ofMesh, (await shared.Mesh.CallAsync("stranger", service, "GET", "/")).Status);
        if (inPlaintext is { } status)
        {
            var answer = await PolicyMesh.CallOutsideAsync(port, "/");
            // Callers outside of the mesh are told nothing.
            Assert.Equal((status, null), (answer.Status, answer.Policy));
        }
        else
        {
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => PolicyMesh.CallOutsideAsync(port, "/"));
        }

        Assert.Equal(HttpStatusCode.OK, (await PolicyMesh.CallOutsideAsync(port, "/healthz")).Status);
        Assert.Equal(HttpStatusCode.OK, (await shared.Mesh.CallAsync("stranger", service, "GET", "/healthz")).Status);
        var explained = await shared.Mesh.ExplainAsync("stranger", service, "GET", "/");
        Assert.Equal(ofMesh == HttpStatusCode.OK, explained.GetProperty("allowed").GetBoolean());
    }

    private static Predicate<CollectedMeasurement<long>> Is(string decision, string reason) =>
        m => (string)m.Tags[MeshTags.Decision]! == decision && (string)m.Tags[MeshTags.Reason]! == reason;

    /// <summary>The header of a server that decided as this verdict does.</summary>
    private static string Told(JsonElement verdict)
    {
        var text = verdict.GetProperty("decision").GetString()!;
        var nearest = verdict.GetProperty("nearest");
        return nearest.GetArrayLength() == 0 ? text : $"{text}; nearest is rule {nearest[0].GetProperty("rule").GetString()}: {nearest[0].GetProperty("failed").GetString()}";
    }

    public sealed class Fixture : IAsyncLifetime
    {
        internal PolicyMesh Mesh { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Mesh = await PolicyMesh.StartAsync(
            [("catalog-policy.yaml", Catalog), ("others.yaml", Others)], ["catalog", "tried", "known", "shut", "strict"], ["storefront", "reports", "stranger"]);

        public ValueTask DisposeAsync() => Mesh.DisposeAsync();

        internal MetricCollector<long> Decisions(string service) => new(Mesh.Server(service).GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ServerDecisions);
    }
}
