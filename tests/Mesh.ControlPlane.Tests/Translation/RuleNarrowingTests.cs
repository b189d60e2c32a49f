using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Path;
using Mesh.Protos.Envoy.Route;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Translation;

public class RuleNarrowingTests
{
    private const string Name = "web.shop.svc.cluster.local:80";

    private static readonly string Yaml = string.Join("\n---\n", Manifests.Service("web"), Manifests.Service("beta"), """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: web, namespace: shop}
        spec:
          parentRefs: [{group: "", kind: Service, name: web}]
          rules:
          - {name: everybody, backendRefs: [{name: web, port: 80}]}
          - {name: testers, matches: [{headers: [{name: x-beta, value: "1"}]}], backendRefs: [{name: beta, port: 80}]}
          - {name: users, matches: [{method: GET}], backendRefs: [{name: web, port: 80}]}
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: MatchPolicy
        metadata: {name: testers, namespace: shop}
        spec:
          targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: web, sectionName: testers}]
          callers: [{namespace: shop, serviceAccount: tester}, {namespace: qa}]
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: MatchPolicy
        metadata: {name: users, namespace: shop}
        spec:
          targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: web, sectionName: users}]
          pathTemplate: /users/{id}/orders/{rest=**}
        """);

    [Theory]
    [InlineData("spiffe://cluster.local/ns/shop/sa/tester", true)]
    [InlineData("spiffe://cluster.local/ns/qa/sa/anyone", true)]
    [InlineData("spiffe://cluster.local/ns/shop/sa/storefront", false)]
    [InlineData("spiffe://cluster.local/something/else", false)]
    [InlineData(null, false)]
    public void Callers_DecideByTheVerifiedIdentityAlone(string? identity, bool taken)
    {
        var routes = Translate(identity, mesh: true);

        Assert.Equal(taken, routes.Any(r => r.Name == "shop/web/testers"));
        Assert.Contains(routes, r => r.Name == "shop/web/everybody");
    }

    [Fact]
    public void RuleForCertainCallers_IsAskedBeforeOneForEverybody()
    {
        var yaml = Yaml.Replace(", matches: [{headers: [{name: x-beta, value: \"1\"}]}]", string.Empty, StringComparison.Ordinal);

        Assert.Equal(
            ["shop/web/users", "shop/web/testers", "shop/web/everybody"], Translate("spiffe://cluster.local/ns/qa/sa/anyone", mesh: true, yaml).Select(r => r.Name));
    }

    [Fact]
    public void PathTemplate_ForOurs_IsAPathMatchPolicy_BetweenExactAndEverything()
    {
        var routes = Translate(null, mesh: true);

        Assert.Equal(["shop/web/users", "shop/web/everybody"], routes.Select(r => r.Name));
        Assert.Equal("/users/{id}/orders/{rest=**}", routes[0].Match.PathMatchPolicy.TypedConfig.Unpack<UriTemplateMatchConfig>().PathTemplate);
        Assert.Equal("GET", Assert.Single(routes[0].Match.Headers).ExactMatch);
    }

    [Fact]
    public void PathTemplate_ForOthers_IsARegularExpression()
    {
        var yaml = Yaml.Replace("matches: [{method: GET}]", "matches: [{}]", StringComparison.Ordinal);

        var regex = Translate(null, mesh: false, yaml)[0].Match.SafeRegex.Regex;

        Assert.Equal("/users/[^/]+/orders/.*", regex);
    }

    [Theory]
    [InlineData("/users/{id}", "/users/7", true)]
    [InlineData("/users/{id}", "/users/7/x", false)]
    [InlineData("/users/{id}", "/users/", false)]
    [InlineData("/v/{name=videos/*}/play", "/v/videos/cat/play", true)]
    [InlineData("/v/{name=videos/*}/play", "/v/cat/play", false)]
    [InlineData("/files/{path=**}.txt", "/files/a/b.txt", true)]
    [InlineData("/files/{path=**}.txt", "/files/a/bxtxt", false)]
    [InlineData("/a/*/c", "/a/b/c", true)]
    public void PathTemplateRegex_TakesWhatTheTemplateDoes(string template, string path, bool matches) =>
        Assert.Equal(matches, Regex.IsMatch(path, $@"\A{PathTemplateRegex.Of(template)}\z"));

    [Fact]
    public async Task Answers_AreKeptApartByCaller_OnlyWhereARuleAsksForIt()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        var answers = controlPlane.Services.GetRequiredService<ResourceAnswers>();
        controlPlane.Translator.Set(XdsTypes.RouteConfiguration, Name, "x");

        controlPlane.Source.Publish(Manifests.Model(Manifests.Service("web")));
        Ask("a");
        Ask("b");
        Assert.Equal(1, controlPlane.Translator.Calls);

        controlPlane.Source.Publish(Manifests.Model(Yaml));
        Ask("a");
        Ask("b");
        Ask("a");
        Assert.Equal(3, controlPlane.Translator.Calls);

        void Ask(string account) => Assert.True(answers.Get(Node($"spiffe://cluster.local/ns/shop/sa/{account}", true), XdsTypes.RouteConfiguration, Name).Exists);
    }

    private static List<Route> Translate(string? identity, bool mesh, string? yaml = null)
    {
        var model = Manifests.Model(yaml ?? Yaml);
        Assert.Empty(model.Problems);
        var translator = new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local"));
        return [.. ((RouteConfiguration)translator.Translate(model, Node(identity, mesh), XdsTypes.RouteConfiguration, Name).Message!).VirtualHosts[0].Routes];
    }

    private static NodeContext Node(string? identity, bool mesh) => new("n", "shop", identity is null ? null : SpiffeId.Parse(identity)) { IsMesh = mesh };
}
