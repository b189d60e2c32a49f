using System.Text;
using Mesh.ControlPlane.Model.Policies;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>Each bad authorization is told with its line, what is wrong with it and what to do; and what it targets is closed.</summary>
public sealed class AuthorizationProblemsTests
{
    private const string To = "  targetRefs: [{group: \"\", kind: Service, name: cart}]\n";
    private const string Jwt = To + "  jwt:\n  - issuer: https://a.example\n    ";

    [Theory]
    [InlineData("mode: Enforced\n  rules: [{action: Deny}]", 9, "spec.mode is 'Enforced'. Use Enforce, Audit.")]
    [InlineData("rules: []", 9, "spec.rules is empty. Add an entry, or remove the field.")]
    [InlineData("rules: [{from: [{authenticated: true}]}]", 9, "spec.rules[0].action is missing.")]
    [InlineData("rules: [{action: Deny, from: []}]", 9, "spec.rules[0].from is empty.")]
    [InlineData("rules: [{action: Deny, from: [{}]}]", 9, "the entry names nobody")]
    [InlineData("rules: [{action: Deny, to: [{}]}]", 9, "the entry names nothing")]
    [InlineData("rules: [{action: Deny, form: []}]", 9, "spec.rules[0].form is not a field. Did you mean 'from'?")]
    [InlineData("rules: [{name: a, action: Deny}, {name: a, action: Deny}]", 9, "spec.rules[1].name is 'a'. Another rule of this policy has that name")]
    [InlineData("rules: [{name: \"1\", action: Deny}]", 9, "Not digits alone")]
    [InlineData("rules: [{action: Allow, from: [{identities: [\"*\"]}]}]", 9, "Write authenticated: true")]
    [InlineData("rules: [{action: Allow, from: [{identities: [\"spiffe://cluster.local/ns/sh*/sa/x\"]}]}]", 9, "'*' stands for one whole segment")]
    [InlineData("rules: [{action: Allow, from: [{identities: [\"spiffe://cluster.local/**/sa/x\"]}]}]", 9, "nothing may follow it")]
    [InlineData("rules: [{action: Allow, from: [{identities: [\"cluster.local/ns/shop/sa/x\"]}]}]", 9, "must start with 'spiffe://'")]
    [InlineData("rules: [{action: Allow, from: [{identities: [\"spiffe://*/ns/shop/sa/x\"]}]}]", 9, "spec.rules[0].from[0].identities[0] is 'spiffe://*/ns/shop/sa/x'")]
    [InlineData("rules: [{action: Allow, from: [{serviceAccounts: [\"shop/*\"]}]}]", 9, "without wildcards: namespaces names all of one")]
    [InlineData("rules: [{action: Allow, from: [{namespaces: [Shop]}]}]", 9, "RFC 1123 label")]
    [InlineData("rules: [{action: Allow, from: [{authenticated: false, namespaces: [shop]}]}]", 9, "Who has no identity has none of those")]
    [InlineData("rules: [{action: Allow, from: [{networks: [{cidr: 10.0.0.1/8}]}]}]", 9, "Write 10.0.0.0/8, or 10.0.0.1 for the one address.")]
    [InlineData("rules: [{action: Allow, from: [{networks: [{cidr: 10.0.0.0/33}]}]}]", 9, "Give a prefix length from 0 to 32")]
    [InlineData("rules: [{action: Allow, from: [{networks: [{cidr: \"::ffff:10.0.0.0/104\"}]}]}]", 9, "write 10.0.0.0")]
    [InlineData("rules: [{action: Allow, from: [{networks: [{cidr: 10.1/16}]}]}]", 9, "Use an IP address or a range")]
    [InlineData("rules: [{action: Allow, from: [{networks: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}]}]", 9, "It is not within 10.0.0.0/8: remove it.")]
    [InlineData("rules: [{action: Allow, from: [{claims: [{name: a..b, values: [x]}]}]}]", 9, "Use a claim such as groups")]
    [InlineData("rules: [{action: Allow, from: [{claims: [{name: a}]}]}]", 9, "spec.rules[0].from[0].claims[0].values is missing.")]
    [InlineData("rules: [{action: Allow, from: [{claims: [{name: a, values: [\"*\", x]}]}]}]", 9, "has '*' beside others")]
    [InlineData("rules: [{action: Allow, to: [{methods: [get]}]}]", 9, "Methods are upper case: write GET.")]
    [InlineData("rules: [{action: Allow, to: [{paths: [admin]}]}]", 9, "Start it with '/'")]
    [InlineData("rules: [{action: Allow, to: [{paths: [/a/../b]}]}]", 9, "an empty or a dot segment")]
    [InlineData("rules: [{action: Allow, to: [{paths: [//a]}]}]", 9, "an empty or a dot segment")]
    [InlineData("rules: [{action: Allow, to: [{paths: [/a%2Fb]}]}]", 9, "'%2F' is in no path after normalisation")]
    [InlineData("rules: [{action: Allow, to: [{paths: [/a%41]}]}]", 9, "write 'A'")]
    [InlineData("rules: [{action: Allow, to: [{paths: [/a%c3]}]}]", 9, "two upper-case digits")]
    [InlineData("rules: [{action: Allow, to: [{paths: [\"/a?b\"]}]}]", 9, "A path has no query")]
    [InlineData("rules: [{action: Allow, to: [{paths: [/a*]}]}]", 9, "'*' stands for one whole segment")]
    [InlineData("rules: [{action: Allow, to: [{paths: [/a/**]}]}]", 9, "at the end for everything below: use /a/*/b or /a/*")]
    [InlineData("rules: [{action: Allow, to: [{hosts: [Cart.shop]}]}]", 9, "Hosts are lower case: write cart.shop.")]
    [InlineData("rules: [{action: Allow, to: [{hosts: [cart.shop.]}]}]", 9, "without the dot at the end: cart.shop.")]
    [InlineData("rules: [{action: Allow, to: [{hosts: [\"cart:80\"]}]}]", 9, "Write it without a port")]
    [InlineData("rules: [{action: Allow, to: [{hosts: [\"*.shop\"]}]}]", 9, "Wildcards are not known here")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: grpc-timeout, value: x}]}]}]", 9, "Headers of gRPC itself can't be asked for")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: \":scheme\", value: x}]}]}]", 9, "Pseudo-headers other than")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: Host, value: x}]}]}]", 9, "Use hosts.")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: Connection, value: x}]}]}]", 9, "It belongs to one connection")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: a}]}]}]", 9, "spec.rules[0].to[0].headers[0].value is missing.")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: a, type: Present, value: x}]}]}]", 9, "With type: Present any value will do")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: a, type: RegularExpression, value: \"(?=a)\"}]}]}]", 9, "RE2 syntax")]
    [InlineData("rules: [{action: Allow, to: [{headers: [{name: a, value: \" x\"}]}]}]", 9, "no blank at either end")]
    [InlineData("rules: [{action: Allow, to: [{ports: [http]}]}]", 9, "Write numbers from 1 to 65535")]
    [InlineData("rules: [{action: Allow, to: [{grpc: [{service: a/b}]}]}]", 9, "full protobuf service name")]
    [InlineData("rules: [{action: Allow, to: [{grpc: [{service: a}], paths: [/x]}]}]", 9, "both about the path")]
    public void BadRule_IsRefused_AndClosesItsTarget(string rules, int line, string what) => Refused(AuthorizationSettings.Kind, To + "  " + rules + "\n", line, what, "shop/p/~closed-by-AuthorizationPolicy");

    [Theory]
    [InlineData("\n", 9, "jwt[0].jwksUri is missing")]
    [InlineData("jwksUri: http://login.example/keys\n", 10, "Use https")]
    [InlineData("jwksUri: https://me@login.example/keys\n", 10, "Remove the user and the fragment.")]
    [InlineData("jwksUri: keys\n", 10, "Use an absolute URI")]
    [InlineData("jwks: '{'\n", 10, "is no JSON")]
    [InlineData("jwks: '{\"keys\": []}'\n", 10, "has no keys")]
    [InlineData("jwks: '{\"keys\": [{\"kty\": \"oct\", \"k\": \"AA\"}]}'\n", 10, "could sign with it")]
    [InlineData("jwks: '{\"keys\": [{\"kty\": \"EC\", \"d\": \"AA\"}]}'\n", 10, "has a private key")]
    [InlineData("jwks: '{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"x\", \"y\": \"y\"}]}'\n", 10, "has no key that can be used")]
    [InlineData("jwksUri: https://a.example/k\n    claimHeaders: [{claim: sub, header: Authorization}]\n", 11, "It has a meaning of its own")]
    [InlineData("jwksUri: https://a.example/k\n    claimHeaders: [{claim: a, header: x-a}, {claim: b, header: X-A}]\n", 11, "writes the header 'x-a' twice")]
    [InlineData("jwksUri: https://a.example/k\n    fromHeaders: [{name: grpc-token}]\n", 11, "Headers of gRPC itself")]
    public void BadAuthentication_IsRefused_AndClosesItsTarget(string rest, int line, string what) => Refused(AuthenticationSettings.Kind, Jwt + rest, line + 1, what, "shop/p/~closed-by-RequestAuthentication");

    [Theory]
    [InlineData("ServerPolicy", To + "  mtls: strict\n", 9, "spec.mtls is 'strict'. Use Permissive, Strict. Did you mean 'Strict'?")]
    [InlineData("ServerPolicy", To + "  access: all\n", 9, "spec.access is 'all'. Use all-unauthenticated, all-authenticated")]
    [InlineData("ServerPolicy", To + "  protocol: TCP\n", 9, "spec.protocol is 'TCP'. Use HTTP, Opaque.")]
    [InlineData("ServerPolicy", "  selector: {matchLabels: {}}\n  access: deny\n", 8, "has 0 labels")]
    [InlineData("ServerPolicy", "  selector: {matchLabels: {\"a b\": c}}\n  access: deny\n", 8, "(Kubernetes labels)")]
    [InlineData("ServerPolicy", To + "  selector: {matchLabels: {a: b}}\n  access: deny\n", 9, "spec has selector and targetRefs. Keep one")]
    [InlineData("ServerPolicy", "  access: deny\n", 8, "or workloads by spec.selector.matchLabels")]
    [InlineData("RetryPolicy", "  selector: {matchLabels: {a: b}}\n  attempts: 1\n", 8, "spec.selector is not a field")]
    public void BadServerPolicy_IsRefused_AndClosesWhatItNames(string kind, string spec, int line, string what) =>
        Refused(kind, spec, line, what, kind == "ServerPolicy" && spec.StartsWith(To, StringComparison.Ordinal) ? "shop/p/~closed-by-ServerPolicy" : null);

    [Fact]
    public void Bounds_AreKept()
    {
        var rules = new StringBuilder(To + "  rules:\n");
        for (var i = 0; i < 257; i++)
        {
            rules.Append("  - {action: Deny}\n");
        }

        Refused(AuthorizationSettings.Kind, rules.ToString(), 10, "spec.rules has 257 entries. Use at most 256.", "shop/p/~closed-by-AuthorizationPolicy");
        var paths = string.Join(", ", Enumerable.Range(0, 65).Select(i => $"/{i}"));
        Refused(AuthorizationSettings.Kind, To + $"  rules: [{{action: Deny, to: [{{paths: [{paths}]}}]}}]\n", 9, "has 65 entries. Use at most 64.", "shop/p/~closed-by-AuthorizationPolicy");
        Refused(AuthorizationSettings.Kind, To + $"  rules: [{{action: Deny, to: [{{headers: [{{name: a, type: RegularExpression, value: \"{new string('a', 513)}\"}}]}}]}}]\n", 9, "It has 513 characters. Use at most 512.", "shop/p/~closed-by-AuthorizationPolicy");
    }

    private static void Refused(string kind, string spec, int line, string what, string? closed)
    {
        var yaml = Manifests.Service("cart") + "\n---\n" + $"apiVersion: policy.meshlib.io/v1alpha1\nkind: {kind}\nmetadata: {{name: p, namespace: shop}}\nspec:\n{spec}" + "---\n" + Manifests.Slice("cart", "127.0.0.1");
        // The lines given are those of the policy alone, two lines down: the Service and the divider take five, its head three.
        var model = Manifests.Model(yaml);

        Assert.True(model.Problems.Any(p => p.Where == $"in.yaml:{line + 2}" && p.What.Contains(what, StringComparison.Ordinal)), string.Join("\n", model.Problems.Select(p => $"{p.Where}: {p.What}")));
        Assert.NotNull(Assert.Single(model.Policies).Invalid);
        var rules = new AuthorizationIndex(model, ServerDefaults.Default).At("shop", null, ["127.0.0.1"], 8080).Rules;
        Assert.Equal(closed is null ? [] : [closed], rules.Select(r => r.Name));
    }
}
