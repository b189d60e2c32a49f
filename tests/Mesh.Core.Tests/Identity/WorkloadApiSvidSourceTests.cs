using Google.Protobuf;
using Grpc.Core;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Protos.SpiffeWorkload;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

/// <summary>The client of a SPIFFE Workload API against one that pushes, refuses, breaks off and answers wrongly.</summary>
public sealed class WorkloadApiSvidSourceTests : IAsyncLifetime
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mesh-wapi-");
    private readonly TestCa _ca = new("cluster.local", withIssuer: true);
    private readonly FakeLogger<SvidRotator> _logger = new();
    private FakeWorkloadApi _api = null!;
    private WorkloadApiSvidSource _source = null!;
    private SvidRotator _rotator = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Socket => Path.Combine(_folder.FullName, "api.sock");

    public async ValueTask InitializeAsync()
    {
        _api = await FakeWorkloadApi.StartAsync(Socket);
        Assert.True(WorkloadApiAddress.TryParse($"unix://{Socket}", out var address, out _));
        _source = new WorkloadApiSvidSource(address, Cart, TimeProvider.System, new Random(1));
        _rotator = new SvidRotator(_source, TimeProvider.System, new Random(1), _logger);
    }

    public async ValueTask DisposeAsync()
    {
        await _rotator.DisposeAsync();
        await _source.DisposeAsync();
        await _api.DisposeAsync();
        _ca.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Stream_FirstAndNextPush_AreInForceAtOnceWithTheSecurityHeaderSent()
    {
        var (first, second) = (_ca.Identity("shop", "cart"), _ca.Identity("shop", "cart"));
        _rotator.Start(new SnapshotStore());
        _api.Push(first);

        var current = await _rotator.GetAsync(Token);
        Assert.Equal(first.Svid.Leaf.Thumbprint, current.Svid.Leaf.Thumbprint);
        Assert.Equal(_ca.Issuer!.Thumbprint, Assert.Single(current.Svid.Intermediates).Thumbprint);
        Assert.Equal(_ca.Root.Thumbprint, Assert.Single(current.Bundle.Roots).Thumbprint);
        _api.Push(second);

        await Eventually.Async(() => _rotator.Current!.Svid.Leaf.Thumbprint == second.Svid.Leaf.Thumbprint, "the pushed one is in force");
        Assert.Equal(["true"], _api.Headers);
    }

    [Fact]
    public async Task Stream_BundleAlonePushed_MakesAGenerationWithTheSameLeaf()
    {
        var identity = _ca.Identity("shop", "cart");
        using var next = new TestCa("cluster.local");
        _rotator.Start(new SnapshotStore());
        _api.Push(identity);
        await _rotator.GetAsync(Token);

        _api.Push(identity.With(identity.Bundle with { Roots = [_ca.Root, next.Root] }));

        await Eventually.Async(() => _rotator.Current!.Bundle.HasRoot(next.Root.Thumbprint), "the new root counts");
        Assert.Equal((2, 1), (_rotator.Current!.Generation, _rotator.Current.LeafGeneration));
    }

    [Fact]
    public async Task Svids_Several_TakesOursElseTheFirstOfOurTrustDomain()
    {
        using var foreign = new TestCa("other.local");
        _rotator.Start(new SnapshotStore());
        _api.Push(foreign.Identity("shop", "cart"), _ca.Identity("shop", "web"), _ca.Identity("shop", "cart"));
        Assert.Equal(Cart, (await _rotator.GetAsync(Token)).Svid.Id);

        _api.Push(foreign.Identity("shop", "cart"), _ca.Identity("shop", "web"));

        await Eventually.Async(() => _rotator.Current!.Svid.Id.ServiceAccount == "web", "the first of the domain is taken");
    }

    [Fact]
    public async Task Server_RestartedBetween_KeepsTheLastGoodAndComesBack()
    {
        _rotator.Start(new SnapshotStore());
        _api.Push(_ca.Identity("shop", "cart"));
        var first = await _rotator.GetAsync(Token);
        await _api.DisposeAsync();
        await Eventually.Async(() => _rotator.Problem is not null, "the loss is known");
        Assert.Same(first, _rotator.Current);

        _api = await FakeWorkloadApi.StartAsync(Socket);
        var second = _ca.Identity("shop", "cart");
        _api.Push(second);

        await Eventually.Async(() => _rotator.Current!.Svid.Leaf.Thumbprint == second.Svid.Leaf.Thumbprint, "it asks again", TimeSpan.FromSeconds(30));
        Assert.Null(_rotator.Problem);
    }

    [Fact]
    public async Task Server_HasNoIdentityForUs_SaysWhatToDoAndAsksAgain()
    {
        _api.Refusal = new Status(StatusCode.PermissionDenied, "no identity issued");
        _rotator.Start(new SnapshotStore());
        await Eventually.Async(() => _rotator.Problem is not null, "the refusal is known");
        Assert.Contains("has no identity for this process: no identity issued Register", _rotator.Problem, StringComparison.Ordinal);

        _api.Refusal = null;
        _api.Push(_ca.Identity("shop", "cart"));

        Assert.Equal(Cart, (await _rotator.GetAsync(Token)).Svid.Id);
    }

    public static TheoryData<string, string> WrongAnswers => new()
    {
        { "none", "gave no certificate" },
        { "other domain", "is of the trust domain 'cluster.local'" },
        { "no der", "is malformed" },
        { "cut off", "is malformed" },
        { "no key", "is malformed" },
        { "other key", "is malformed" },
        { "no bundle", "0 self-signed roots" },
        { "other bundle", "does not chain" },
        { "other id", "certifies 'spiffe://cluster.local/ns/shop/sa/web'" },
        { "expired", "not valid now" },
    };

    [Theory]
    [MemberData(nameof(WrongAnswers))]
    public async Task Answer_Wrong_IsNotUsedAndSaysWhy(string what, string expected)
    {
        using var other = new TestCa("cluster.local");
        var good = FakeWorkloadApi.Svid(_ca.Identity("shop", "cart"));
        var bad = good.Clone();
        switch (what)
        {
            case "other domain":
                bad.SpiffeId = "spiffe://other.local/a";
                break;
            case "no der":
                bad.X509Svid = ByteString.CopyFromUtf8("nothing");
                break;
            case "cut off":
                bad.X509Svid = ByteString.CopyFrom(good.X509Svid.Span[..^5]);
                break;
            case "no key":
                bad.X509SvidKey = ByteString.CopyFromUtf8("nothing");
                break;
            case "other key":
                bad.X509SvidKey = FakeWorkloadApi.Svid(other.Identity("shop", "cart")).X509SvidKey;
                break;
            case "no bundle":
                bad.Bundle = ByteString.Empty;
                break;
            case "other bundle":
                bad.Bundle = ByteString.CopyFrom(other.Root.RawData);
                break;
            case "other id":
                bad = FakeWorkloadApi.Svid(_ca.Identity("shop", "web"));
                bad.SpiffeId = Cart.ToString();
                break;
            case "expired":
                bad = FakeWorkloadApi.Svid(_ca.Identity("shop", "cart", TimeSpan.FromMinutes(-1)));
                break;
        }

        var response = new X509SVIDResponse();
        if (what != "none")
        {
            response.Svids.Add(bad);
        }

        _api.Answers.Writer.TryWrite(response);
        _rotator.Start(new SnapshotStore());
        await Eventually.Async(() => _rotator.Problem is not null, "the problem is known");

        Assert.Contains(expected, _rotator.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(good.X509SvidKey.ToBase64()[40..80], string.Concat(_logger.Collector.GetSnapshot().Select(l => l.Message + l.Exception)), StringComparison.Ordinal);
        _api.Push(_ca.Identity("shop", "cart"));
        Assert.Equal(Cart, (await _rotator.GetAsync(Token)).Svid.Id);
    }

    [Theory]
    [InlineData("unix:///run/spire/agent.sock", null)]
    [InlineData("unix:/run/spire/agent.sock", null)]
    [InlineData("tcp://127.0.0.1:8081", null)]
    [InlineData("tcp://[::1]:8081", null)]
    [InlineData("tcp://10.0.0.1:8081", "would cross the network in the clear")]
    [InlineData("tcp://localhost:8081", "is no address of a Workload API")]
    [InlineData("tcp://127.0.0.1", "is no address of a Workload API")]
    [InlineData("tcp://127.0.0.1:8081/path", "is no address of a Workload API")]
    [InlineData("unix://host/path", "is no address of a Workload API")]
    [InlineData("unix:///run/agent.sock?x=1", "is no address of a Workload API")]
    [InlineData("/run/spire/agent.sock", "is no address of a Workload API")]
    [InlineData("http://127.0.0.1:8081", "is no address of a Workload API")]
    [InlineData("", "is no address of a Workload API")]
    public void Address_Forms_AreReadOrRefused(string text, string? expected)
    {
        Assert.Equal(expected is null, WorkloadApiAddress.TryParse(text, out _, out var problem));
        Assert.Contains(expected ?? string.Empty, problem ?? string.Empty, StringComparison.Ordinal);
    }
}
