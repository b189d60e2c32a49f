using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>Filters and sessions of routes: what is refused, with its line, and what becomes of what is not.</summary>
public class SteeringProblemsTests
{
    private const string RouteHead = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{group: \"\", kind: Service, name: cart}]\n  rules:\n";
    private const string Backend = "    backendRefs: [{name: cart, port: 80}]\n";
    private const string DirectHead = "apiVersion: policy.meshlib.io/v1alpha1\nkind: DirectResponse\nmetadata: {name: d, namespace: shop}\n";

    [Theory]
    [InlineData("  - filters: [{type: RequestHeaderModifier}]\n" + Backend, "filters[0].requestHeaderModifier is missing")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: \":path\", value: a}]}}]\n" + Backend, "set[0].name is ':path', which is part of the request line")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [Connection]}}]\n" + Backend, "remove[0] is 'Connection', which belongs to the connection")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a b, value: a}]}}]\n" + Backend, "is 'a b', which is no header name")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: x, value: a}], remove: [X]}}]\n" + Backend, "It stands twice in this filter")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: x, value: \"\"}]}}]\n" + Backend, "Use 1–4096 characters")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {ad: []}}]\n" + Backend, "Did you mean 'add'?")]
    [InlineData("  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {}}, {type: ResponseHeaderModifier, responseHeaderModifier: {}}]\n" + Backend, "filters[1].type is 'ResponseHeaderModifier'. It stands twice in this rule")]
    [InlineData("  - filters: [{type: RequestHeaderModifier, urlRewrite: {}, requestHeaderModifier: {}}]\n" + Backend, "filters[0].urlRewrite is not a field")]
    [InlineData("  - filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}]\n", "has more than one of RequestRedirect, URLRewrite and DirectResponse")]
    [InlineData("  - filters: [{type: RequestRedirect, requestRedirect: {}}]\n" + Backend, "stands beside a RequestRedirect")]
    [InlineData("  - filters: [{type: RequestRedirect, requestRedirect: {scheme: ftp}}]\n", "scheme is 'ftp'. Use http, https.")]
    [InlineData("  - filters: [{type: RequestRedirect, requestRedirect: {statusCode: 304}}]\n", "statusCode is '304'. Use 301, 302, 303, 307 or 308.")]
    [InlineData("  - filters: [{type: RequestRedirect, requestRedirect: {port: 0}}]\n", "port is '0'")]
    [InlineData("  - filters: [{type: RequestRedirect, requestRedirect: {hostname: \"*.a\"}}]\n", "hostname is '*.a'")]
    [InlineData("  - filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefix, replaceFullPath: /}}}]\n" + Backend, "Use ReplaceFullPath, ReplacePrefixMatch.")]
    [InlineData("  - filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /}}}]\n" + Backend, "path.replaceFullPath is missing")]
    [InlineData("  - filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: \"/a?b\"}}}]\n" + Backend, "without query")]
    [InlineData("  - matches: [{path: {type: Exact, value: /a}}]\n    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]\n" + Backend, "has not exactly one match of type PathPrefix")]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {}}]\n" + Backend, "requestMirror.backendRef is missing")]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: cart}}}]\n" + Backend, "backendRef.port is missing")]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {percent: 101, backendRef: {name: cart, port: 80}}}]\n" + Backend, "percent is '101'")]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {percent: 1, fraction: {numerator: 1}, backendRef: {name: cart, port: 80}}}]\n" + Backend, "Give percent or fraction, not both.")]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {fraction: {numerator: 3, denominator: 2}, backendRef: {name: cart, port: 80}}}]\n" + Backend, "It cannot be more than the denominator (2).")]
    [InlineData("  - sessionPersistence: {type: Basic}\n" + Backend, "sessionPersistence.type is 'Basic'. Use Cookie, Header.")]
    [InlineData("  - sessionPersistence: {sessionName: \"a b\"}\n" + Backend, "sessionPersistence.sessionName is 'a b'")]
    [InlineData("  - sessionPersistence: {type: Header, cookieConfig: {lifetimeType: Session}}\n" + Backend, "sessionPersistence.cookieConfig belongs to type: Cookie")]
    [InlineData("  - sessionPersistence: {cookieConfig: {lifetimeType: Permanent}}\n" + Backend, "sessionPersistence.absoluteTimeout is missing. A Permanent cookie needs it.")]
    public void BadRule_IsRefused_WithLineReasonAndFix(string rule, string what)
    {
        var model = Manifests.Model(RouteHead + rule);

        Assert.Contains(model.Problems, p => p.Where.StartsWith("in.yaml:", StringComparison.Ordinal) && p.What.Contains(what, StringComparison.Ordinal));
        Assert.Empty(model.Routes);
    }

    [Theory]
    [InlineData("spec: {body: a}\n", "in.yaml:4", "spec.status is missing")]
    [InlineData("spec: {status: 99}\n", "in.yaml:4", "spec.status is '99'")]
    [InlineData("spec: {status: 200, contentType: nothing}\n", "in.yaml:4", "spec.contentType is 'nothing'. Use a media type")]
    [InlineData("spec: {status: 200, header: x}\n", "in.yaml:4", "spec.header is not a field")]
    public void BadDirectResponse_IsRefused(string spec, string where, string what)
    {
        var problem = Assert.Single(Manifests.Model(DirectHead + spec).Problems);
        Assert.Equal(where, problem.Where);
        Assert.Contains(what, problem.What, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: gone, port: 80}}}]\n" + Backend, "its mirror 'shop/gone' does not exist. Nothing is copied", true)]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 81}}}]\n" + Backend, "its mirror 'shop/cart' has no port 81", true)]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: cart, namespace: lab, port: 80}}}]\n" + Backend, "until a ReferenceGrant in 'lab' allows it", true)]
    [InlineData("  - filters: [{type: RequestMirror, requestMirror: {backendRef: {kind: Bucket, group: x.io, name: a}}}]\n" + Backend, "the mirror is a x.io/Bucket. Nothing is copied to it", true)]
    [InlineData("  - filters: [{type: ExtensionRef, extensionRef: {group: x.io, kind: Y, name: z}}]\n" + Backend, "the filter is a x.io/Y, which is not known here. Every call of this rule is answered 500", false)]
    [InlineData("  - filters: [{type: ExtensionRef, extensionRef: {group: policy.meshlib.io, kind: DirectResponse, name: z}}]\n" + Backend, "its DirectResponse 'shop/z' does not exist. Every call of the rule is answered 500", false)]
    [InlineData("  - backendRefs: [{name: cart, port: 80, filters: [{type: URLRewrite, urlRewrite: {}}]}]\n", "has a URLRewrite, which is not supported here. This backend's share is answered 500", false)]
    [InlineData("  - sessionPersistence: {absoluteTimeout: 1h}\n" + Backend, "has an effect with cookieConfig.lifetimeType: Permanent only", true)]
    public void DoubtfulRule_StaysInForce_AndIsTold(string rule, string what, bool forwards)
    {
        var model = Manifests.Model(Manifests.Service("cart") + "\n---\n" + RouteHead + rule);

        Assert.Contains(model.Problems, p => p.What.Contains(what, StringComparison.Ordinal));
        var read = Assert.Single(Assert.Single(model.Routes).Rules);
        Assert.Equal(forwards, read.Backends.Any(b => !b.Refused));
        Assert.Empty(read.Filters.Mirrors);
    }
}
