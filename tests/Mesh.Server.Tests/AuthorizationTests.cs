using System.Diagnostics;
using System.Net;
using Grpc.Core;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;
using static Mesh.Server.Tests.Rules;

namespace Mesh.Server.Tests;

/// <summary>Access rules over mTLS and plaintext on real Kestrel.</summary>
public sealed class AuthorizationTests : IDisposable
{
    private static readonly RbacFilter OnlyWebReads = Allow(Rule("shop/cart/readers", Header(":method", "GET"), Web));
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    [InlineData(null)]
    public async Task Http_NoRuleAllows_Is403WithoutDetail(string? version)
    {
        await using var app = await StartAsync(OnlyWebReads);
        using var client = app.Client(version, "other");

        using var response = await client.GetAsync(app.Url, Token);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("PermissionDenied", Assert.Single(response.Headers.GetValues("mesh-error")));
        Assert.False(response.Headers.Contains("mesh-policy"));
        Assert.Equal("mesh: permission denied\n", await response.Content.ReadAsStringAsync(Token));
        Assert.Equal(0, app.Room.Entered);
        Assert.Equal(1, app.Decided(Decisions.Authorization, Decisions.Unmatched));
        Assert.Equal("alive", await client.GetStringAsync($"http://{app.Address}/healthz", Token));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Http_RuleAllows_IsServedAndCounted(string version)
    {
        await using var app = await StartAsync(OnlyWebReads);
        using var client = app.Client(version);

        Assert.Equal("done", await client.GetStringAsync(app.Url, Token));
        using var post = await client.PostAsync(app.Url, null, Token);

        Assert.Equal(HttpStatusCode.Forbidden, post.StatusCode);
        Assert.Equal((1, 1), (app.Decided(Decisions.AuthorizationAllowed, "shop/cart/readers"), app.Decided(Decisions.Authorization)));
    }

    [Fact]
    public async Task Grpc_Denied_IsPermissionDenied()
    {
        await using var app = await StartAsync(Deny(Rule("shop/freeze/all", Any, Web)));
        using var client = app.Client("2.0");
        using var channel = app.Channel(client);
        var (invoker, options) = (channel.CreateCallInvoker(), new CallOptions(cancellationToken: Token));

        var unary = await Assert.ThrowsAsync<RpcException>(async () => await invoker.AsyncUnaryCall(WorkService.UnaryMethod, null, options, "x"));
        using var stream = invoker.AsyncServerStreamingCall(WorkService.StreamMethod, null, options, "x");
        var streaming = await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(Token));
        using var duplex = invoker.AsyncDuplexStreamingCall(WorkService.DuplexMethod, null, options);
        var both = await Assert.ThrowsAsync<RpcException>(() => duplex.ResponseStream.MoveNext(Token));

        Assert.All([unary, streaming, both], e => Assert.Equal((StatusCode.PermissionDenied, "mesh: permission denied"), (e.StatusCode, e.Status.Detail)));
        Assert.Equal(3, app.Decided(Decisions.Authorization, "shop/freeze/all"));
        Assert.Equal(0, app.Room.Entered);
    }

    [Fact]
    public async Task Grpc_RuleOnServiceAndMethod_AllowsThatOneAlone()
    {
        await using var app = await StartAsync(Allow(Rule("unary", Path("/test.Work/Unary"), Web)));
        using var client = app.Client("2.0");
        using var channel = app.Channel(client);
        var (invoker, options) = (channel.CreateCallInvoker(), new CallOptions(cancellationToken: Token));

        Assert.Equal("done", await invoker.AsyncUnaryCall(WorkService.UnaryMethod, null, options, "x"));
        using var stream = invoker.AsyncServerStreamingCall(WorkService.StreamMethod, null, options, "x");
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(Token))).StatusCode);
    }

    [Fact]
    public async Task Http_DeniedByARule_BeatsTheOneThatAllows_WhateverTheirOrder()
    {
        await using var app = await StartAsync(Allow(Rule("all", Any, Any)), Deny(Rule("no-web", Path("/work"), Web)));
        using var web = app.Client("2.0");
        using var other = app.Client("2.0", "other");

        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(web, app.Url));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(other, app.Url));
        app.PublishHttp(Http(Deny(Rule("no-web", Path("/work"), Web)), Allow(Rule("all", Any, Any))));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(web, app.Url));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(other, app.Url));
    }

    // A live connection is not a way around: every request meets the newest rules.
    [Fact]
    public async Task Http_PolicyChanges_TheNextRequestOfTheSameConnectionMeetsIt()
    {
        await using var app = await StartAsync();
        using var client = app.Client("2.0");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, app.Url));

        app.PublishHttp(Http(Deny(Rule("no-web", Any, Web))));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(client, app.Url));
        app.PublishHttp(Http(RbacFilter.None));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, app.Url));
    }

    [Fact]
    public async Task Http_Denied_UsesUpNobodysLimit()
    {
        var limits = new InboundLimits { RateLimits = [new RateLimit("shared", 1, TimeSpan.FromHours(1), 1, RateLimitScope.Shared, null, [])] };
        await using var app = await StartAsync(OnlyWebReads, limits);
        using var other = app.Client("2.0", "other");
        using var web = app.Client("2.0");
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(other, app.Url));
        }

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(web, app.Url));
        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(web, app.Url));
    }

    [Fact]
    public async Task Http_HeadersTwice_AreEachSeen()
    {
        await using var app = await StartAsync(Deny(Rule("no-admins", Header("x-role", "admin"), Any)));
        foreach (var version in new[] { "1.1", "2.0", null })
        {
            using var client = app.Client(version);
            foreach (var (name, values) in new[] { ("X-Role", new[] { "user", "admin" }), ("x-role", ["admin", "user"]), ("x-ROLE", ["user,admin"]) })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, app.Url) { Version = client.DefaultRequestVersion, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                foreach (var value in values)
                {
                    request.Headers.TryAddWithoutValidation(name, value);
                }

                using var response = await client.SendAsync(request, Token);
                Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
            }
        }
    }

    [Theory]
    [InlineData("POST", HttpStatusCode.Forbidden)]
    [InlineData("post", HttpStatusCode.Forbidden)]
    [InlineData("GET", HttpStatusCode.OK)]
    [InlineData("TRACE", HttpStatusCode.MethodNotAllowed)]
    [InlineData("BREW", HttpStatusCode.MethodNotAllowed)]
    public async Task Http_MethodTricks_DoNotPassARuleThatDenies(string method, HttpStatusCode status)
    {
        await using var app = await StartAsync(Deny(Rule("no-post", Header(":method", "POST"), Any)));
        using var client = app.Client("2.0");
        using var request = new HttpRequestMessage(new HttpMethod(method), app.Url) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Add("x-http-method-override", "GET");

        using var response = await client.SendAsync(request, Token);

        Assert.Equal(status, response.StatusCode);
    }

    [Fact]
    public async Task ExplainDenials_TellsCallersOfTheMeshAlone()
    {
        await using var app = await LimitedApp.StartAsync(_ca, null, o => o.ExplainDenials = true);
        app.PublishHttp(Http(Deny(Rule("shop/freeze/deletes", Header(":method", "DELETE"), Any)), OnlyWebReads));
        using var web = app.Client("2.0");
        using var plain = app.Client(null);

        using var post = await web.PostAsync(app.Url, null, Token);
        using var delete = await web.DeleteAsync(app.Url, Token);
        using var outside = await plain.GetAsync(app.Url, Token);
        using var good = await web.GetAsync(app.Url, Token);

        Assert.Equal("denied, because no rule allows it; nearest is rule shop/cart/readers: method is 'POST', wants 'GET'", Assert.Single(post.Headers.GetValues("mesh-policy")));
        Assert.Equal("denied by rule 'shop/freeze/deletes'", Assert.Single(delete.Headers.GetValues("mesh-policy")));
        Assert.Equal(HttpStatusCode.Forbidden, outside.StatusCode);
        Assert.False(outside.Headers.Contains("mesh-policy"));
        Assert.False(good.Headers.Contains("mesh-policy"));
    }

    [Fact]
    public async Task ExplainDenials_HostileNamesAndValues_StayOneShortHeader()
    {
        await using var app = await LimitedApp.StartAsync(_ca, null, o => o.ExplainDenials = true);
        app.PublishHttp(Http(Allow(Rule("a\r\nset-cookie: x=é" + new string('y', 400), Path("/nowhere"), Any))));
        using var web = app.Client("2.0");

        using var response = await web.GetAsync(app.Url, Token);

        var value = Assert.Single(response.Headers.GetValues("mesh-policy"));
        Assert.False(response.Headers.Contains("set-cookie"));
        Assert.Equal(256, value.Length);
        Assert.DoesNotContain(value, c => c is < ' ' or > '~');
    }

    [Fact]
    public async Task Log_ManyDenials_AreOneLineThatSaysWhy()
    {
        await using var app = await LimitedApp.StartAsync(_ca, null, services: s => s.AddFakeLogging());
        app.PublishHttp(Http(OnlyWebReads));
        var log = app.App.Services.GetFakeLogCollector();
        using var web = app.Client("2.0");
        for (var i = 0; i < 10; i++)
        {
            using var response = await web.PostAsync($"http://{app.Address}/work%20%C3%A9forged?secret=1", null, Token);
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        }

        var line = Assert.Single(log.GetSnapshot(), l => l.Id.Id == 3520);
        Assert.Equal(LogLevel.Information, line.Level);
        Assert.Equal(
            "1 requests were answered 403 for the same reason since the last such line. The last, POST /work ?forged from spiffe://cluster.local/ns/shop/sa/web, was "
            + "denied, because no rule allows it; nearest are rule shop/cart/readers: method is 'POST', wants 'GET'",
            line.Message);
    }

    // The same traffic twice: audited, then enforced. Nothing changes while it is audited, and what it counts is what enforcement denies.
    [Fact]
    public async Task Audit_NeverChangesAResponse_AndCountsWhatEnforcementDenies()
    {
        var deny = new RbacRules(RbacAction.Deny, [Rule("audited/no-x", Header("x-a", "1"), Any)]);
        var allow = new RbacRules(RbacAction.Allow, [Rule("audited/readers", Header(":method", "GET"), Web)]);
        await using var app = await StartAsync(new RbacFilter(null, deny), new RbacFilter(null, allow));
        var statuses = await TrafficAsync(app);

        Assert.All(statuses, s => Assert.NotEqual(HttpStatusCode.Forbidden, s));
        Assert.Equal(0, app.Decided(Decisions.Authorization));
        var (audited, auditedAllowed) = (app.Decided(Decisions.Audit), app.Decided(Decisions.AuditAllowed));
        app.PublishHttp(Http(new RbacFilter(deny, null), new RbacFilter(allow, null)));
        statuses = await TrafficAsync(app);

        Assert.Equal(statuses.Count(s => s == HttpStatusCode.Forbidden), audited);
        Assert.Equal(statuses.Count, audited + auditedAllowed);
        Assert.InRange(audited, 1, statuses.Count - 1);
        Assert.Equal((audited, audited), (app.Decided(Decisions.Authorization), app.Decided(Decisions.Audit)));
        Assert.Equal(app.Decided(Decisions.Audit, "audited/no-x"), app.Decided(Decisions.Authorization, "audited/no-x"));
    }

    [Fact]
    public async Task Spans_CarryTheRuleAndTheDecision()
    {
        var spans = new List<Activity>();
        using var root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span =>
            {
                lock (spans)
                {
                    spans.Add(span);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var app = await StartAsync(Deny(Rule("no-deletes", Header(":method", "DELETE"), Any)), OnlyWebReads);
        using var client = app.Client("2.0");
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Delete, HttpMethod.Put })
        {
            using var request = new HttpRequestMessage(method, app.Url) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            (await client.SendAsync(request, Token)).Dispose();
        }

        await Eventually.Async(() => Of(null).Count == 3, "three spans");
        var good = Assert.Single(Of("allow"));
        Assert.Equal("shop/cart/readers", good.GetTagItem(MeshTags.PolicyRule));
        Assert.Null(good.GetTagItem(MeshTags.Decision));
        var denied = Of("deny");
        Assert.Equal(2, denied.Count);
        Assert.All(denied, s => Assert.Equal(Decisions.Authorization, s.GetTagItem(MeshTags.Decision)));
        Assert.Single(denied, s => Equals(s.GetTagItem(MeshTags.PolicyRule), "no-deletes"));
        Assert.Single(denied, s => Equals(s.GetTagItem(MeshTags.PolicyNearest), "rule shop/cart/readers: method is 'PUT', wants 'GET'"));

        List<Activity> Of(string? decision)
        {
            lock (spans)
            {
                return [.. spans.Where(s => s.TraceId == root.TraceId && (decision is null || Equals(s.GetTagItem(MeshTags.PolicyDecision), decision)))];
            }
        }
    }

    // Of two versions each denies what only a mixture of them would allow: the rules that deny of one, those that allow of the other.
    [Fact]
    public async Task Stress_HundredUpdatesASecond_NoRequestMeetsHalfAnUpdate()
    {
        await using var app = await StartAsync();
        app.PublishHttp(Version("a"));
        using var client = app.Client("2.0");
        using var done = CancellationTokenSource.CreateLinkedTokenSource(Token);
        done.CancelAfter(TimeSpan.FromSeconds(3));
        var (torn, allowed, denied) = (0, 0, 0);
        var updates = Task.Run(
            async () =>
            {
                using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
                for (var i = 0; await tick.WaitForNextTickAsync(Token) && !done.IsCancellationRequested; i++)
                {
                    app.PublishHttp(Version(i % 2 == 0 ? "b" : "a"));
                }
            },
            Token);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            while (!done.IsCancellationRequested)
            {
                if (await AskAsync("a", "a") == HttpStatusCode.OK || await AskAsync("b", "b") == HttpStatusCode.OK)
                {
                    Interlocked.Increment(ref torn);
                }

                if (await AskAsync("b", "a") == HttpStatusCode.OK)
                {
                    Interlocked.Increment(ref allowed);
                }
                else
                {
                    Interlocked.Increment(ref denied);
                }
            }
        }));
        await updates;

        Assert.Equal(0, torn);
        Assert.True(allowed > 0 && denied > 0, $"{allowed} were allowed and {denied} denied");

        async Task<HttpStatusCode> AskAsync(string x, string y)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, app.Url) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            request.Headers.Add("x", x);
            request.Headers.Add("y", y);
            using var response = await client.SendAsync(request, Token);
            return response.StatusCode;
        }

        // Denies x of its own name, allows y of its own name.
        static HttpConnectionManager Version(string name) => Http(Deny(Rule("deny-" + name, Header("x", name), Any)), Allow(Rule("allow-" + name, Header("y", name), Any)));
    }

    [Theory]
    [InlineData(UnlistedAccess.Allow, HttpStatusCode.OK, HttpStatusCode.OK)]
    [InlineData(UnlistedAccess.AllowAuthenticated, HttpStatusCode.Forbidden, HttpStatusCode.OK)]
    [InlineData(UnlistedAccess.Deny, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    public async Task Unlisted_IsTreatedByTheOperatorsWord(UnlistedAccess access, HttpStatusCode plainStatus, HttpStatusCode meshStatus)
    {
        await using var app = await LimitedApp.StartAsync(_ca, null, o => o.UnlistedAccess = access);
        app.App.Config.Set(MeshSnapshot.Empty);
        using var plain = app.Client(null);
        using var mesh = app.Client("2.0");

        Assert.Equal(plainStatus, await StatusAsync(plain, app.Url));
        Assert.Equal(meshStatus, await StatusAsync(mesh, app.Url));
        Assert.Equal("alive", await plain.GetStringAsync($"http://{app.Address}/healthz", Token));
    }

    [Fact]
    public async Task Policy_BecomesInvalid_TheLastGoodOneStays()
    {
        await using var app = await StartAsync(OnlyWebReads);
        using var other = app.Client("2.0", "other");
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(other, app.Url));
        var name = app.App.Config.Snapshots.Current.Listeners.Keys.Single();

        app.App.Config.Set(MeshSnapshot.Empty with { Listeners = MeshSnapshot.Empty.Listeners.Add(name, new ListenerResult.Unavailable("no valid version")) });

        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(other, app.Url));
    }

    private static async Task<List<HttpStatusCode>> TrafficAsync(LimitedApp app)
    {
        var statuses = new List<HttpStatusCode>();
        foreach (var (version, caller) in new[] { ("2.0", "web"), ("1.1", "other"), (null, "nobody") })
        {
            using var client = app.Client(version, caller);
            foreach (var method in new[] { HttpMethod.Get, HttpMethod.Post })
            {
                foreach (var value in new[] { "1", "2" })
                {
                    using var request = new HttpRequestMessage(method, app.Url) { Version = client.DefaultRequestVersion, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                    request.Headers.Add("x-a", value);
                    using var response = await client.SendAsync(request, Token);
                    statuses.Add(response.StatusCode);
                }
            }
        }

        return statuses;
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, Uri url)
    {
        using var response = await client.GetAsync(url, Token);
        return response.StatusCode;
    }

    private async Task<LimitedApp> StartAsync(params HttpFilterSettings[] filters)
    {
        var app = await LimitedApp.StartAsync(_ca, null);
        app.PublishHttp(Http(filters));
        return app;
    }
}
