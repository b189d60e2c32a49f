using System.Globalization;
using System.Text.Json;
using Grpc.Core;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>One YAML of policies, enforced by gRPC servers that are not ours, by ours, and against clients that are not ours; all over mesh TLS.</summary>
[Trait("gRFC", "A41")]
public sealed class ForeignPolicyTests
{
    private const string Ours = "ours";
    private const string Target = "xds:///cart.shop.svc.cluster.local:8080";
    private static readonly string[] _methods = ["Ask", "Stop", "Remove", "Banned", "Staff", "Near", "Far"];

    /// <summary>Who calls which method, with a token or without; what grpc-js, C-core and ours make of it.</summary>
    private static readonly (string Caller, string Method, bool Token, StatusCode GrpcJs, StatusCode Core, StatusCode Ours)[] _calls =
    [
        ("storefront", "Ask", false, StatusCode.OK, StatusCode.OK, StatusCode.OK),
        ("reports", "Ask", false, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.PermissionDenied),
        // By path.
        ("storefront", "Stop", false, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.PermissionDenied),
        // By the rule of a GRPCRoute.
        ("reports", "Remove", false, StatusCode.OK, StatusCode.OK, StatusCode.OK),
        ("storefront", "Remove", false, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.PermissionDenied),
        // A Deny that asks for claims: who can't ask refuses everybody.
        ("storefront", "Banned", false, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.OK),
        ("storefront", "Banned", true, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.PermissionDenied),
        // An Allow that asks for claims: who can't ask lets nobody in by it.
        ("storefront", "Staff", false, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.PermissionDenied),
        ("storefront", "Staff", true, StatusCode.PermissionDenied, StatusCode.PermissionDenied, StatusCode.OK),
        // Networks, Allow and Deny: as for claims, for grpc-js alone.
        ("reports", "Near", false, StatusCode.PermissionDenied, StatusCode.OK, StatusCode.OK),
        ("storefront", "Far", false, StatusCode.PermissionDenied, StatusCode.OK, StatusCode.OK),
    ];

    [Theory]
    [InlineData(ForeignServer.GrpcJs)]
    [InlineData(ForeignServer.Core)]
    [InlineData(Ours)]
    public async Task Server_TakesOurYaml_RefusesAndAllowsOurClient(string peer)
    {
        NodePeer.SkipUnlessInstalled();
        using var issuer = new TestIssuer();
        var token = issuer.Token(TimeProvider.System.GetUtcNow().AddMinutes(10), more: ""","roles":["staff","banned"]""");
        var port = RunningMesh.FreePort();
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 8080, port)), ("policy.yaml", Policies(TestIssuer.Set(issuer))));
        await using var server = await StartAsync(mesh, peer, port);
        await mesh.WaitUntilMeshedAsync("cart");
        await using var storefront = await MeshCaller.StartAsync(mesh, "storefront", Target);
        await using var reports = await MeshCaller.StartAsync(mesh, "reports", Target);
        var last = default((StatusCode, string));
        await Eventually.Async(async () => (last = await storefront.CallAsync(Name("Ask"))).Item1 == StatusCode.OK, "it serves", TimeSpan.FromSeconds(30));

        foreach (var call in _calls)
        {
            var (code, text) = await (call.Caller == "reports" ? reports : storefront).CallAsync(Name(call.Method), call.Token ? [("authorization", $"Bearer {token}")] : []);
            var expected = peer switch { ForeignServer.GrpcJs => call.GrpcJs, ForeignServer.Core => call.Core, _ => call.Ours };
            Assert.True(code == expected, $"{call.Caller} {call.Method}{(call.Token ? " with a token" : "")}: {code} {text}, expected {expected}");
        }

        Assert.Equal(0, (await mesh.StatusAsync()).GetProperty("nacks").GetInt64());

        // What some of them can't ask is told where operators look.
        var limits = (await mesh.GetAsync("/api/v1/policies")).SelectMany(p => p.GetProperty("conditions").EnumerateArray())
            .Where(c => c.GetProperty("type").GetString() == "FullyEvaluated").Select(c => c.GetProperty("message").GetString()!).ToArray();
        Assert.All(new[] { "banned", "staff", "near", "far" }, rule => Assert.Contains(limits, l => l.Contains(rule, StringComparison.Ordinal)));
        var (_, output, _) = await Cli.RunAsync("check", "--server", mesh.Http, "--token", mesh.AdminToken);
        Assert.Equal(peer != Ours, output.Contains("cart", StringComparison.Ordinal) && output.Contains("banned", StringComparison.Ordinal));
    }

    [Fact]
    public async Task OurServer_RefusesClientsThatAreNotOurs_ByTheirServiceAccount()
    {
        NodePeer.SkipUnlessInstalled();
        await NodePeer.InstallAsync();
        using var issuer = new TestIssuer();
        var port = RunningMesh.FreePort();
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 8080, port)), ("policy.yaml", Policies(TestIssuer.Set(issuer))));
        await mesh.StartServiceAsync("cart", port, app => app.MapGrpcService<WhoAmIService>(), builder =>
        {
            builder.Services.AddGrpc();
            builder.Services.AddSingleton(new WhoAmIService.Replica("cart"));
            builder.WebHost.ConfigureKestrel(k => k.ConfigureEndpointDefaults(l => l.Protocols = HttpProtocols.Http2));
        });
        await mesh.WaitUntilMeshedAsync("cart");
        await using var storefront = await Agent.StartAsync(mesh, "storefront");
        await using var reports = await Agent.StartAsync(mesh, "reports");

        foreach (var (interpreter, script, refusal) in new[]
        {
            ("node", Path.Combine(NodePeer.Folder, "client.js"), "7: "),
            ("/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "ForeignPeers", "python", "client.py"), "PERMISSION_DENIED: "),
        })
        {
            var allowed = await RunAsync(mesh, "storefront", interpreter, script);
            Assert.Equal((3, 0), (allowed.GetProperty("answers").GetProperty("cart spiffe://cluster.local/ns/shop/sa/storefront").GetInt32(), allowed.GetProperty("failures").GetArrayLength()));
            var refused = await RunAsync(mesh, "reports", interpreter, script);
            Assert.Empty(refused.GetProperty("answers").EnumerateObject());
            Assert.Equal(3, refused.GetProperty("failures").GetArrayLength());
            Assert.All(refused.GetProperty("failures").EnumerateArray(), f => Assert.StartsWith(refusal, f.GetString(), StringComparison.Ordinal));
        }
    }

    private static string Name(string method) => $"/whoami.v1.WhoAmI/{method}";

    private static async Task<IAsyncDisposable> StartAsync(RunningMesh mesh, string peer, int port)
    {
        return peer == Ours
            ? await mesh.StartServiceAsync(
                "cart", port, app => app.MapPost("/whoami.v1.WhoAmI/{method}", AnswerAsync), b => b.WebHost.ConfigureKestrel(k => k.ConfigureEndpointDefaults(l => l.Protocols = HttpProtocols.Http2)))
            : await ForeignWorkload.StartAsync(mesh, peer, "cart", port, [.. _methods.Select(Name)]);
    }

    /// <summary>An empty gRPC message, whatever was asked.</summary>
    private static async Task AnswerAsync(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(new byte[5], context.RequestAborted);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static async Task<JsonElement> RunAsync(RunningMesh mesh, string account, string interpreter, string script)
    {
        await using var client = ChildProcess.Start(
            interpreter, [script, Target, Name("Ask"), 3.ToString(CultureInfo.InvariantCulture)], new Dictionary<string, string> { ["GRPC_XDS_BOOTSTRAP"] = await Agent.BootstrapAsync(mesh, account) });
        Assert.True(await client.ExitAsync(TimeSpan.FromSeconds(90)) == 0, client.Errors);
        return JsonDocument.Parse(client.Output).RootElement;
    }

    private static string Policies(string keys) => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: GRPCRoute
        metadata: { name: cart, namespace: shop }
        spec:
          parentRefs: [{ group: "", kind: Service, name: cart }]
          rules:
          - name: removing
            matches: [{ method: { service: whoami.v1.WhoAmI, method: Remove } }]
            backendRefs: [{ name: cart, port: 8080 }]
          - name: others
            backendRefs: [{ name: cart, port: 8080 }]
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: removing, namespace: shop }
        spec:
          targetRefs: [{ group: gateway.networking.k8s.io, kind: GRPCRoute, name: cart, sectionName: removing }]
          rules: [{ name: reports, action: Allow, from: [{ serviceAccounts: [reports] }] }]
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: cart, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: cart }]
          rules:
          - name: storefront
            action: Allow
            from: [{ serviceAccounts: [storefront] }]
            to:
            - grpc:
              - { service: whoami.v1.WhoAmI, method: Ask }
              - { service: whoami.v1.WhoAmI, method: Stop }
              - { service: whoami.v1.WhoAmI, method: Banned }
              - { service: whoami.v1.WhoAmI, method: Far }
          - { name: stop, action: Deny, to: [{ paths: [/whoami.v1.WhoAmI/Stop] }] }
          - { name: banned, action: Deny, from: [{ claims: [{ name: roles, values: [banned] }] }], to: [{ grpc: [{ service: whoami.v1.WhoAmI, method: Banned }] }] }
          - { name: staff, action: Allow, from: [{ claims: [{ name: roles, values: [staff] }] }], to: [{ grpc: [{ service: whoami.v1.WhoAmI, method: Staff }] }] }
          - { name: near, action: Allow, from: [{ networks: [{ cidr: 127.0.0.0/8 }] }], to: [{ grpc: [{ service: whoami.v1.WhoAmI, method: Near }] }] }
          - { name: far, action: Deny, from: [{ networks: [{ cidr: 203.0.113.0/24 }] }], to: [{ grpc: [{ service: whoami.v1.WhoAmI, method: Far }] }] }
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RequestAuthentication
        metadata: { name: cart, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: cart }]
          jwt: [{ issuer: "https://issuer.test", jwks: '{{keys}}' }]
        """;
}
