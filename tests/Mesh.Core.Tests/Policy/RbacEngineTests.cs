using System.Net;
using CsCheck;
using Mesh.Config;
using Mesh.Policy;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Core.Tests.Policy;

public sealed class RbacEngineTests
{
    private static readonly RbacCondition Any = new RbacCondition.Always();
    private static readonly RbacConnection Web = new(new RbacCaller(["spiffe://cluster.local/ns/shop/sa/web"], [], ""), IPAddress.Parse("10.1.2.3"), new IPEndPoint(IPAddress.Loopback, 8080));
    private static readonly RbacConnection Nobody = new(null, IPAddress.Parse("::ffff:10.1.2.3"), new IPEndPoint(IPAddress.Loopback, 8080));

    [Fact]
    [Trait("gRFC", "A41")]
    public void Decide_AnyPoliciesAndRequests_IsWhatTheNaiveEvaluatorSays() => Gen.Select(RbacGen.Rules.Array[0, 3], RbacGen.Request.Array[1, 8]).Sample(
        (rules, requests) =>
        {
            var engine = new RbacEngine(rules.Select(r => new RbacFilter(r, null)));
            foreach (var request in requests)
            {
                var expected = NaiveRbac.Decide(rules.OrderBy(r => r.Action == RbacAction.Deny ? 0 : 1), request);
                Assert.Equal(expected, engine.Decide(request));
                Assert.Equal(expected, engine.Explain(request).Decision);
            }
        },
        iter: 2_000);

    [Fact]
    public void Decide_OtherOrderOfFiltersAndPolicies_IsTheSame() => Gen.Select(RbacGen.Rules.Array[1, 4], RbacGen.Request.Array[1, 8], Gen.Int[0, 1_000]).Sample(
        (rules, requests, seed) =>
        {
            var random = new Random(seed);
            var shuffled = rules.Select(r => r with { Policies = [.. r.Policies.OrderBy(_ => random.Next())] }).OrderBy(_ => random.Next()).ToList();
            var (engine, other) = (new RbacEngine(rules.Select(r => new RbacFilter(r, null))), new RbacEngine(shuffled.Select(r => new RbacFilter(r, null))));
            foreach (var request in requests)
            {
                Assert.Equal(engine.Decide(request).IsAllowed, other.Decide(request).IsAllowed);
                // One set of each action: then the rule is the same too.
                if (rules.Select(r => r.Action).Distinct().Count() == rules.Length)
                {
                    Assert.Equal(engine.Decide(request), other.Decide(request));
                }
            }
        },
        iter: 500);

    [Fact]
    public void Decide_OneRuleMoreThatDenies_NeverAllowsMore() => Gen.Select(RbacGen.Rules.Array[0, 3], RbacGen.Rules, RbacGen.Request.Array[1, 8]).Sample(
        (rules, more, requests) =>
        {
            var engine = new RbacEngine(rules.Select(r => new RbacFilter(r, null)));
            var stricter = new RbacEngine([.. rules.Select(r => new RbacFilter(r, null)), new RbacFilter(more with { Action = RbacAction.Deny }, null)]);
            Assert.All(requests, r => Assert.True(engine.Decide(r).IsAllowed || !stricter.Decide(r).IsAllowed));
        },
        iter: 500);

    [Fact]
    public void DecideShadow_IsWhatEnforcementOfTheSameRulesDecides_AndChangesNothing() => Gen.Select(RbacGen.Rules.Array[0, 2], RbacGen.Rules.Array[1, 3], RbacGen.Request.Array[1, 8]).Sample(
        (rules, shadow, requests) =>
        {
            var audited = new RbacEngine([.. rules.Select(r => new RbacFilter(r, null)), .. shadow.Select(s => new RbacFilter(null, s))]);
            var (plain, enforced) = (new RbacEngine(rules.Select(r => new RbacFilter(r, null))), new RbacEngine(shadow.Select(s => new RbacFilter(s, null))));
            foreach (var request in requests)
            {
                Assert.Equal(plain.Decide(request), audited.Decide(request));
                Assert.Equal(enforced.Decide(request), audited.DecideShadow(request));
                Assert.Equal(enforced.Explain(request).ToString(), audited.ExplainShadow(request).ToString());
            }
        },
        iter: 500);

    [Fact]
    public void Decide_NoRules_IsUnrestricted_ButAnEmptyAllowListDeniesAll()
    {
        var request = Request("GET", "/");
        Assert.True(new RbacEngine([RbacFilter.None]).IsNone);
        Assert.Equal(PolicyDecision.Unrestricted, new RbacEngine([RbacFilter.None]).Decide(request));
        Assert.Equal(new PolicyDecision(false, PolicyStage.Default, null), Engine(RbacAction.Allow).Decide(request));
        Assert.Equal(PolicyDecision.Unrestricted, Engine(RbacAction.Deny).Decide(request));
        Assert.Equal(PolicyDecision.Unrestricted, Engine(RbacAction.Log, Policy("all", Any, Any)).Decide(request));
    }

    [Theory]
    [InlineData("POST", false)]
    [InlineData("post", false)]
    [InlineData("Post", false)]
    [InlineData("TRACE", true)]
    [InlineData("CONNECT", true)]
    [InlineData("BREW", true)]
    public void Deny_Method_IgnoresCase(string method, bool allowed) =>
        Assert.Equal(allowed, Engine(RbacAction.Deny, Policy("no-post", Method("POST"), Any)).Decide(Request(method, "/", headers: ("x-http-method-override", ["POST"]))).IsAllowed);

    [Theory]
    [InlineData("POST", true)]
    [InlineData("post", false)]
    [InlineData("CONNECT", false)]
    [InlineData("TRACE", false)]
    public void Allow_Method_IsExact(string method, bool allowed) =>
        Assert.Equal(allowed, Engine(RbacAction.Allow, Policy("post", Method("POST"), Any)).Decide(Request(method, "/", headers: ("x-http-method-override", ["POST"]))).IsAllowed);

    // Each line, and each member of a list: a value that the app could read is enough to deny, and every one must be good to allow.
    [Theory]
    [InlineData(true, true, "admin")]
    [InlineData(true, false, "user", "admin")]
    [InlineData(true, false, "admin", "user")]
    [InlineData(true, false, "user, admin")]
    [InlineData(true, false, " admin ,x")]
    [InlineData(true, false, "admin", "admin2")]
    [InlineData(true, false, "admin", "admin")]
    [InlineData(false, false, "administrator")]
    [InlineData(false, false, "")]
    public void Header_Repeated_IsJudgedOnTheSafeSide(bool denied, bool allowed, params string[] lines)
    {
        var condition = new RbacCondition.Header(new HeaderMatcher("x-role", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "admin")));
        var request = Request("GET", "/", headers: ("x-role", lines));

        Assert.Equal(!denied, Engine(RbacAction.Deny, Policy("no-admins", condition, Any)).Decide(request).IsAllowed);
        Assert.Equal(allowed, Engine(RbacAction.Allow, Policy("admins", condition, Any)).Decide(request).IsAllowed);
    }

    [Fact]
    public void Header_64KilobytesOfCommas_IsJudgedInTime()
    {
        var condition = new RbacCondition.Header(new HeaderMatcher("x-role", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Regex, "(a|aa)+b")));
        var engine = Engine(RbacAction.Deny, Policy("rule", condition, Any));
        var clock = System.Diagnostics.Stopwatch.StartNew();

        Assert.True(engine.Decide(Request("GET", "/", headers: ("x-role", [new string(',', 65_536)]))).IsAllowed);
        Assert.True(engine.Decide(Request("GET", "/", headers: ("x-role", [new string('a', 65_536)]))).IsAllowed);

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"took {clock.Elapsed}");
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void Header_HostTeAndBinary_AreSeenAsGrpcSeesThem()
    {
        var request = Request("POST", "/", headers: [("te", ["trailers"]), ("x-bin", ["a"])]);
        Assert.True(Allows(new HeaderMatcher("host", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "catalog")), request));
        Assert.False(Allows(new HeaderMatcher("te", HeaderMatchKind.Present), request));
        Assert.True(Allows(new HeaderMatcher("te", HeaderMatchKind.Present, Invert: true), request));
        Assert.False(Allows(new HeaderMatcher("x-bin", HeaderMatchKind.Present), request));
        Assert.True(Allows(new HeaderMatcher(":method", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "POST")), request));

        static bool Allows(HeaderMatcher header, RbacRequest request) => Engine(RbacAction.Allow, Policy("r", new RbacCondition.Header(header), Any)).Decide(request).IsAllowed;
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void Caller_Names_AreUrisElseDnsNamesElseSubject()
    {
        Assert.Equal(["spiffe://d/a"], new RbacCaller(["spiffe://d/a"], ["a"], "CN=a").Names);
        Assert.Equal(["a", "b"], new RbacCaller([], ["a", "b"], "CN=a").Names);
        Assert.Equal(["CN=a"], new RbacCaller([], [], "CN=a").Names);
        Assert.Equal([""], new RbacCaller([], [], "").Names);
        var empty = Engine(RbacAction.Allow, Policy("r", Any, new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Exact, ""))));
        Assert.False(empty.Decide(new RbacRequest(null, Nobody, VerifiedClaims.None)).IsAllowed);
        Assert.True(empty.Decide(new RbacRequest(null, new RbacConnection(new RbacCaller([], [], ""), null, null), VerifiedClaims.None)).IsAllowed);
    }

    [Theory]
    [InlineData("10.0.0.0/8", "10.9.9.9", true)]
    [InlineData("10.0.0.0/8", "::ffff:10.9.9.9", true)]
    [InlineData("10.9.9.9/8", "10.1.1.1", true)]
    [InlineData("::ffff:10.0.0.0/104", "10.1.1.1", true)]
    [InlineData("0.0.0.0/0", "::1", false)]
    [InlineData("0.0.0.0/0", "::ffff:1.2.3.4", true)]
    [InlineData("::/0", "1.2.3.4", false)]
    [InlineData("::/0", "::ffff:1.2.3.4", false)]
    [InlineData("::/0", "fe80::1%3", true)]
    [InlineData("10.0.0.1/32", "10.0.0.2", false)]
    public void Source_InRange_IsByFamily(string range, string address, bool inside)
    {
        Assert.Equal(inside, RbacGen.Range(range).Contains(AddressBits.Of(IPAddress.Parse(address))));
        Assert.False(RbacGen.Range(range).Contains(AddressBits.Of(null)));
    }

    [Fact]
    public void Explain_Denied_NamesTheNearestRuleAndItsFirstFailedCondition()
    {
        var web = new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Exact, "spiffe://cluster.local/ns/shop/sa/web"));
        var engine = Engine(
            RbacAction.Allow,
            Policy("shop/catalog/admins", new RbacCondition.Path(new StringMatcher(StringMatchKind.Prefix, "/admin/")), new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Exact, "spiffe://cluster.local/ns/ops/sa/root"))),
            Policy("shop/catalog/readers", new RbacCondition.AllOf([new RbacCondition.AnyOf([Method("GET"), Method("HEAD")]), new RbacCondition.Path(new StringMatcher(StringMatchKind.Prefix, "/items/"))]), web),
            Policy("shop/catalog/stats", new RbacCondition.DestinationPort(9090, 9090), new RbacCondition.AllOf([web, new RbacCondition.Source(RbacGen.Range("10.9.0.0/16"))])));

        var explained = engine.Explain(Request("POST", "/items/7"));

        Assert.Equal(new PolicyDecision(false, PolicyStage.Default, null), explained.Decision);
        Assert.Equal(["shop/catalog/readers", "shop/catalog/stats", "shop/catalog/admins"], explained.Nearest.Select(n => n.Rule));
        Assert.Equal("method is 'POST', wants 'GET' or 'HEAD'", explained.Nearest[0].Failed);
        Assert.Equal("source address is 10.1.2.3, wants 10.9.0.0/16", explained.Nearest[1].Failed);
        Assert.Equal("caller is 'spiffe://cluster.local/ns/shop/sa/web', wants 'spiffe://cluster.local/ns/ops/sa/root'", explained.Nearest[2].Failed);
        Assert.Equal("denied, because no rule allows it; nearest is rule shop/catalog/readers: method is 'POST', wants 'GET' or 'HEAD'", explained.Summary);
        Assert.Equal(new PolicyDecision(true, PolicyStage.Allow, "shop/catalog/readers"), engine.Explain(Request("GET", "/items/7")).Decision);
        Assert.Contains("caller is not authenticated, wants 'spiffe", engine.Explain(new RbacRequest(new FakeHead("GET", "/items/7"), Nobody, VerifiedClaims.None)).Nearest[0].Failed, StringComparison.Ordinal);
    }

    [Fact]
    public void Explain_DeniedByRule_NamesIt()
    {
        var explained = Engine(RbacAction.Deny, Policy("shop/freeze/writes", new RbacCondition.Not(Method("GET")), Any)).Explain(Request("PUT", "/"));
        Assert.Equal("denied by rule 'shop/freeze/writes'", explained.ToString());
        Assert.Empty(explained.Nearest);
    }

    [Fact]
    public void Explain_SecretsAndControlCharacters_AreNotTold()
    {
        var engine = Engine(
            RbacAction.Allow,
            Policy("a", new RbacCondition.Header(new HeaderMatcher("authorization", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "x"))), Any),
            Policy("b", new RbacCondition.Header(new HeaderMatcher("x-b", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "x"))), Any));
        var text = engine.Explain(Request("GET", "/", headers: [("authorization", ["Bearer abc"]), ("x-b", ["1\r\nmesh: é" + new string('y', 500)])])).ToString();

        Assert.DoesNotContain("abc", text, StringComparison.Ordinal);
        Assert.Contains("header authorization has another value, wants 'x'", text, StringComparison.Ordinal);
        Assert.DoesNotContain(text, c => c is < ' ' or > '~');
        Assert.True(text.Length < 400, text);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(1_000)]
    public void Decide_Allowed_AllocatesNothing(int rules)
    {
        var engine = new RbacEngine([Filter(RbacAction.Deny, rules, "/no/"), Filter(RbacAction.Allow, rules, "/r/")]);
        var request = Request("GET", $"/r/{rules - 1}", headers: ("x-a", ["1,2"]));
        Assert.True(engine.Decide(request).IsAllowed);
        for (var i = 0; i < 1_000; i++)
        {
            engine.Decide(request);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        var allowed = 0;
        for (var i = 0; i < 10_000; i++)
        {
            allowed += engine.Decide(request).IsAllowed ? 1 : 0;
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(10_000, allowed);

        static RbacFilter Filter(RbacAction action, int rules, string prefix) => new(
            new RbacRules(action, [.. Enumerable.Range(0, rules).Select(i => Policy(
                $"rule-{i:D4}",
                new RbacCondition.AllOf([new RbacCondition.Path(new StringMatcher(StringMatchKind.Exact, $"{prefix}{i}")), new RbacCondition.AnyOf([Method("GET"), Method("HEAD")]), new RbacCondition.Not(new RbacCondition.Header(new HeaderMatcher("x-a", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "9"))))]),
                new RbacCondition.AllOf([new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Prefix, "spiffe://cluster.local/ns/shop/")), new RbacCondition.Source(RbacGen.Range("10.0.0.0/8"))])))]),
            null);
    }

    [Fact]
    public void Decide_ManyRulesOfOtherCallersAndPaths_AsksFew()
    {
        // The oracle is time, with a wide margin: asking 10,000 rules takes milliseconds.
        RbacPolicy[] policies = [.. Enumerable.Range(0, 10_000).Select(i => Policy(
            $"rule-{i:D5}",
            i % 2 == 0 ? new RbacCondition.Path(new StringMatcher(StringMatchKind.Prefix, $"/p{i}/")) : Any,
            new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Prefix, i % 2 == 0 ? "spiffe://cluster.local/ns/shop/" : $"spiffe://cluster.local/ns/n{i}/"))))];
        var engine = Engine(RbacAction.Allow, policies);
        var request = Request("GET", "/p9998/x");
        Assert.Equal("rule-09998", engine.Decide(request).Rule);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        for (var i = 0; i < 2_000; i++)
        {
            engine.Decide(request);
        }

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(1), $"2,000 decisions took {clock.Elapsed}");
    }

    private static RbacCondition.Header Method(string method) => new(new HeaderMatcher(":method", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, method)));

    private static RbacPolicy Policy(string name, RbacCondition permission, RbacCondition principal) => new(name, [permission], [principal]);

    private static RbacEngine Engine(RbacAction action, params RbacPolicy[] policies) => new([new RbacFilter(new RbacRules(action, policies), null)]);

    private static RbacRequest Request(string method, string path, params (string Name, string[] Lines)[] headers) =>
        new(new FakeHead(method, path, "catalog", headers), Web, VerifiedClaims.None);
}
