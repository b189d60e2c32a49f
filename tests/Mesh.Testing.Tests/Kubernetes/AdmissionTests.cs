using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class AdmissionTests
{
    private const string Maps = "/api/v1/namespaces/shop/configmaps";

    [Fact]
    public async Task Mutating_Patch_IsWrittenAndWarned()
    {
        await using var hook = await FakeWebhook.StartAsync();
        await using var api = await StartAsync(hook, Configuration("Mutating", hook));
        using var client = api.Client();
        hook.Respond = _ =>
        {
            var response = FakeWebhook.Patch(new JsonObject { ["op"] = "add", ["path"] = "/data", ["value"] = new JsonObject { ["k"] = "patched" } });
            response["warnings"] = new JsonArray("take \"care\"");
            return response;
        };

        using var answer = await client.PostAsync(Maps, new StringContent(Map("a").ToJsonString(), System.Text.Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        Assert.Equal("299 - \"take \\\"care\\\"\"", answer.Headers.GetValues("Warning").Single());
        Assert.Equal("patched", api.Get("configmaps", "shop", "a").Text("data", "k"));
        var asked = hook.Asked.Single();
        Assert.Equal("CREATE", asked.Text("operation"));
        Assert.Equal("kubernetes-admin", asked.Text("userInfo", "username"));
        Assert.Equal("""{"group":"","version":"v1","resource":"configmaps"}""", asked["resource"]!.Compact());
        Assert.Equal("shop", asked.Text("object", "metadata", "namespace"));
        Assert.Null(asked["oldObject"]);
    }

    [Fact]
    public async Task Validating_Denial_IsTheCallersAnswer()
    {
        await using var hook = await FakeWebhook.StartAsync();
        await using var api = await StartAsync(hook, Configuration("Validating", hook));
        using var client = api.Client();
        hook.Respond = _ => new JsonObject { ["allowed"] = false, ["status"] = new JsonObject { ["code"] = 422, ["message"] = "no such host" } };

        var (status, refused) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Equal("admission webhook \"hook.mesh.example\" denied the request: no such host", refused.Text("message"));
        Assert.Null(api.Find("configmaps", "shop", "a"));
    }

    [Fact]
    public async Task Failure_FollowsThePolicy()
    {
        await using var hook = await FakeWebhook.StartAsync("another.mesh-system.svc");
        await using var api = await StartAsync(hook, Configuration("Validating", hook));
        using var client = api.Client();

        // Its certificate is for another name.
        var (status, refused) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));
        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.StartsWith("Internal error occurred: failed calling webhook \"hook.mesh.example\": failed to call webhook: Post \"https://hook.mesh-system.svc:443/hook?timeout=10s\"", refused.Text("message"), StringComparison.Ordinal);

        api.Apply(Configuration("Validating", hook).Replace("failurePolicy: Fail", "failurePolicy: Ignore", StringComparison.Ordinal));
        var (ignored, _) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));
        Assert.Equal(HttpStatusCode.Created, ignored);
        Assert.Empty(hook.Asked);
    }

    [Fact]
    public async Task CaBundle_OfAnother_IsNotTrusted()
    {
        await using var hook = await FakeWebhook.StartAsync();
        await using var other = await FakeWebhook.StartAsync();
        await using var api = await StartAsync(hook, Configuration("Validating", other));
        using var client = api.Client();

        var (status, _) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));

        Assert.Equal(HttpStatusCode.InternalServerError, status);
    }

    [Fact]
    public async Task Selectors_DecideWhoIsAsked()
    {
        await using var hook = await FakeWebhook.StartAsync();
        await using var api = await StartAsync(hook, Configuration("Validating", hook, """
            namespaceSelector: { matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system] }] }
              objectSelector: { matchLabels: { mesh: "yes" } }
            """));
        using var client = api.Client();
        var labelled = Map("labelled");
        labelled.Meta()["labels"] = new JsonObject { ["mesh"] = "yes" };

        await client.SendJsonAsync(HttpMethod.Post, Maps, Map("plain"));
        await client.SendJsonAsync(HttpMethod.Post, Maps, labelled);
        await client.SendJsonAsync(HttpMethod.Post, "/api/v1/namespaces/kube-system/configmaps", labelled);
        await client.SendJsonAsync(HttpMethod.Delete, $"{Maps}/labelled");

        Assert.Equal(["CREATE labelled", "DELETE labelled"], hook.Asked.Select(r => $"{r.Text("operation")} {r.Text("name")}"));
    }

    [Fact]
    public async Task Reinvocation_ShowsWhatALaterHookChanged()
    {
        await using var hook = await FakeWebhook.StartAsync();
        await using var api = await StartAsync(hook, Configuration("Mutating", hook, "reinvocationPolicy: IfNeeded"));
        api.Apply(Configuration("Mutating", hook).Replace("name: mesh-hook", "name: z-later", StringComparison.Ordinal).Replace("path: /hook", "path: /later", StringComparison.Ordinal));
        using var client = api.Client();
        hook.Respond = request => request.At("object", "data") is null && hook.Asked.Count == 2
            ? FakeWebhook.Patch(new JsonObject { ["op"] = "add", ["path"] = "/data", ["value"] = new JsonObject() })
            : new JsonObject { ["allowed"] = true };

        await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));

        Assert.Equal([false, false, true], hook.Asked.Select(r => r.At("object", "data") is not null));
    }

    [Fact]
    public async Task DryRun_IsOnlyForHooksWithoutSideEffects()
    {
        await using var hook = await FakeWebhook.StartAsync();
        await using var api = await StartAsync(hook, Configuration("Validating", hook));
        using var client = api.Client();

        var (status, _) = await client.SendJsonAsync(HttpMethod.Post, $"{Maps}?dryRun=All", Map("a"));

        Assert.Equal(HttpStatusCode.Created, status);
        Assert.True(hook.Asked.Single()["dryRun"]!.GetValue<bool>());
        Assert.Null(api.Find("configmaps", "shop", "a"));
    }

    [Fact]
    public async Task Configuration_WithSideEffects_IsInvalid()
    {
        await using var api = await FakeKubeApi.StartAsync();

        var refused = Assert.Throws<StatusException>(() => api.Apply(Configuration("Validating", null).Replace("sideEffects: None", "sideEffects: Some", StringComparison.Ordinal)));

        Assert.Contains("webhooks[0].sideEffects: Unsupported value: \"Some\"", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<FakeKubeApi> StartAsync(FakeWebhook hook, string configuration)
    {
        var api = await FakeKubeApi.StartAsync();
        api.Services.Map("mesh-system", "hook", 443, "127.0.0.1", hook.Port);
        api.Apply("{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }");
        api.Apply(configuration);
        return api;
    }

    private static string Configuration(string kind, FakeWebhook? hook, string more = "") => $$"""
        apiVersion: admissionregistration.k8s.io/v1
        kind: {{kind}}WebhookConfiguration
        metadata: { name: mesh-hook }
        webhooks:
        - name: hook.mesh.example
          admissionReviewVersions: [v1]
          sideEffects: None
          failurePolicy: Fail
          clientConfig:
            caBundle: "{{hook?.CaBundle}}"
            service: { namespace: mesh-system, name: hook, path: /hook }
          rules:
          - { apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: ["*"] }
          {{more}}
        """;

    private static JsonObject Map(string name) => new() { ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = name } };
}
