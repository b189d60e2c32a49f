using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Mesh.Testing.Kubernetes.Cel;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class DefinitionTests
{
    private const string Rules = "/apis/policy.meshlib.io/v1/namespaces/shop/rules";

    private const string Definition = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: { name: rules.policy.meshlib.io }
        spec:
          group: policy.meshlib.io
          scope: Namespaced
          names: { plural: rules, kind: Rule, shortNames: [ru] }
          versions:
          - &version
            name: v1
            served: true
            storage: true
            subresources: { status: {} }
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  spec:
                    type: object
                    required: [host]
                    x-kubernetes-validations:
                    - { rule: "!has(self.min) || self.min <= self.weight", message: min is above weight }
                    - { rule: "self.host == oldSelf.host", message: host is immutable }
                    properties:
                      host: { type: string, pattern: "^[a-z]+$", maxLength: 10 }
                      min: { type: integer }
                      weight: { type: integer, minimum: 0, maximum: 100, default: 50 }
                      port: { x-kubernetes-int-or-string: true, anyOf: [{ type: integer }, { type: string }] }
                      free: { type: object, x-kubernetes-preserve-unknown-fields: true }
                      labels: { type: object, additionalProperties: { type: string } }
                      list:
                        type: array
                        maxItems: 2
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [name]
                        items: { type: object, required: [name], properties: { name: { type: string }, value: { type: integer } } }
                    oneOf: [{ required: [free] }, { not: { required: [free] } }]
                  status: { type: object, properties: { phase: { type: string } } }
          - { <<: *version, name: v1beta1, storage: false }
        """;

    [Fact]
    public async Task Path_BeforeTheDefinition_IsNotThere()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();

        using var before = await client.GetAsync(Rules);
        api.Apply(Definition);
        using var after = await client.GetAsync(Rules);
        api.Delete("customresourcedefinitions.apiextensions.k8s.io", "", "rules.policy.meshlib.io");
        using var gone = await client.GetAsync(Rules);

        Assert.Equal(HttpStatusCode.NotFound, before.StatusCode);
        Assert.Equal("404 page not found\n", await before.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task Versions_ShowTheSameObject()
    {
        await using var api = await StartAsync();
        using var client = api.Client();
        var (_, made) = await CreateAsync(client, """{"host":"a"}""");

        var (_, older) = await client.SendJsonAsync(HttpMethod.Get, Rules.Replace("v1/", "v1beta1/", StringComparison.Ordinal) + "/r");

        Assert.Equal("policy.meshlib.io/v1beta1", older.Text("apiVersion"));
        Assert.Equal(made.Text("metadata", "uid"), older.Text("metadata", "uid"));
        Assert.Equal(50, older.At("spec", "weight").Long());
    }

    [Fact]
    public async Task UnknownFields_ArePrunedWarnedOrRefused()
    {
        await using var api = await StartAsync();
        using var client = api.Client();
        const string Spec = """{"host":"a","typo":1,"free":{"any":{"thing":1}},"list":[{"name":"x","typo":2}]}""";

        var (status, refused) = await CreateAsync(client, Spec, "?fieldValidation=Strict");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("Rule in version \"v1\" cannot be handled as a Rule: strict decoding error: unknown field \"spec.typo\", unknown field \"spec.list[0].typo\"", refused.Text("message"));

        var (_, made) = await CreateAsync(client, Spec);
        Assert.Equal("""{"host":"a","free":{"any":{"thing":1}},"list":[{"name":"x"}],"weight":50}""", made["spec"]!.Compact());
    }

    [Theory]
    [InlineData("""{}""", "spec.host: Required value")]
    [InlineData("""{"host":"A"}""", "spec.host: Invalid value: \"A\": spec.host in body should match '^[a-z]+$'")]
    [InlineData("""{"host":"abcdefghijk"}""", "spec.host: Too long: may not be more than 10 bytes")]
    [InlineData("""{"host":"a","weight":101}""", "spec.weight: Invalid value: 101: spec.weight in body should be less than or equal to 100")]
    [InlineData("""{"host":"a","weight":"1"}""", "spec.weight: Invalid value: \"string\": spec.weight in body must be of type integer: \"string\"")]
    [InlineData("""{"host":"a","port":true}""", "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"")]
    [InlineData("""{"host":"a","labels":{"x":1}}""", "spec.labels.x: Invalid value: \"integer\": spec.labels.x in body must be of type string: \"integer\"")]
    [InlineData("""{"host":"a","list":[{"name":"x"},{"name":"x"}]}""", "spec.list[1]: Duplicate value: {\"name\":\"x\"}")]
    [InlineData("""{"host":"a","list":[{"name":"x"},{"name":"y"},{"name":"z"}]}""", "spec.list: Too many: 3: must have at most 2 items")]
    public async Task Object_AgainstTheSchema_IsInvalid(string spec, string why)
    {
        await using var api = await StartAsync();
        using var client = api.Client();

        var (status, refused) = await CreateAsync(client, spec);

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Equal($"Rule.policy.meshlib.io \"r\" is invalid: {why}", refused.Text("message"));
    }

    [Theory]
    [InlineData("maxLength: 10", "uniqueItems: true", "uniqueItems")]
    [InlineData("host: { type: string,", "host: {", "properties[host].type: Required value")]
    [InlineData("min: { type: integer }", "min: { type: integer, default: x }", "properties[min].default")]
    [InlineData("[{ required: [free] }, ", "[{ properties: { other: { minimum: 1 } } }, ", "properties[other]: Required value: because it is defined in")]
    [InlineData("[{ required: [free] }, ", "[{ properties: { min: { type: integer } } }, ", "must be undefined to be structural")]
    [InlineData("x-kubernetes-list-map-keys: [name]", "x-kubernetes-list-map-keys: [value]", "must have a default or be a required property")]
    [InlineData("^[a-z]+$", "^(?!x)", "must be a valid regular expression")]
    [InlineData("name: rules.policy.meshlib.io", "name: rules", "must be spec.names.plural+\\\".\\\"+spec.group")]
    [InlineData("storage: true", "storage: false", "must have exactly one version marked as storage version")]
    public async Task Definition_ThatIsNotStructural_IsRefused(string from, string to, string why)
    {
        await using var api = await FakeKubeApi.StartAsync();

        var refused = Assert.Throws<StatusException>(() => api.Apply(Definition.Replace(from, to, StringComparison.Ordinal)));

        Assert.Contains(why, refused.ToStatus().Compact(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_Attached_AreEvaluated()
    {
        Assert.SkipWhen(CelRules.Missing is not null, CelRules.Missing ?? "");
        await using var rules = await CelRules.StartAsync(TestContext.Current.CancellationToken);
        await using var api = await FakeKubeApi.StartAsync();
        api.Attach(rules);
        var unreadable = Assert.Throws<StatusException>(() => api.Apply(Definition.Replace("self.host == oldSelf.host", "self.host ==", StringComparison.Ordinal)));
        Assert.Contains("compilation failed", unreadable.Message, StringComparison.Ordinal);
        api.Apply(Definition);
        api.Apply("{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }");
        using var client = api.Client();

        var (status, refused) = await CreateAsync(client, """{"host":"a","min":60}""");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Equal("Rule.policy.meshlib.io \"r\" is invalid: spec: Invalid value: min is above weight", refused.Text("message"));

        await CreateAsync(client, """{"host":"a"}""");
        var (changed, immutable) = await client.SendJsonAsync(HttpMethod.Patch, Rules + "/r", JsonNode.Parse("""{"spec":{"host":"b"}}"""), "application/merge-patch+json");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, changed);
        Assert.Contains("host is immutable", immutable.Text("message"), StringComparison.Ordinal);
    }

    private static async Task<FakeKubeApi> StartAsync()
    {
        var api = await FakeKubeApi.StartAsync();
        api.Apply(Definition);
        api.Apply("{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }");
        return api;
    }

    private static Task<(HttpStatusCode Status, JsonObject Json)> CreateAsync(HttpClient client, string spec, string query = "") => client.SendJsonAsync(HttpMethod.Post, Rules + query, new JsonObject
    {
        ["apiVersion"] = "policy.meshlib.io/v1",
        ["kind"] = "Rule",
        ["metadata"] = new JsonObject { ["name"] = "r" },
        ["spec"] = JsonNode.Parse(spec),
    });
}
