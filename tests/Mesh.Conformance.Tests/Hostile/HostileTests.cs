using System.Net;
using Mesh.Conformance.Tests.Targets;
using Mesh.Testing;

namespace Mesh.Conformance.Tests.Hostile;

/// <summary>While one client misbehaves another is served; afterwards no connection, no request and no memory of it is left.</summary>
[Collection(nameof(Alone))]
public abstract class HostileTests(TargetsFixture targets)
{
    /// <summary>Generous: what leaks, leaks by the crowd.</summary>
    private const int MostLeftInMegabytes = 48;

    /// <summary>For machines that do much else.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(30);

    /// <summary>Kestrel's pool and ArrayPool.Shared let go of what nobody wants after a while, not at once.</summary>
    private static readonly TimeSpan _patienceForMemory = TimeSpan.FromSeconds(60);

    private protected async Task SurvivesAsync(TargetKind kind, Version version, Func<Abuse, Task> run)
    {
        var target = await targets.GetAsync(kind);
        // Warm, so that what is kept for good is kept before the count begins.
        await AbuseAsync(_ => Task.CompletedTask);
        var before = HeapInMegabytes();
        await AbuseAsync(run);
        if (!await SettlesAsync(before))
        {
            // Pools that keep for minutes what was given back give it again; what leaks, leaks again.
            before = HeapInMegabytes();
            await AbuseAsync(run);
            Assert.True(await SettlesAsync(before), $"The heap was {before} MB, and is {HeapInMegabytes()} MB after the same abuse once more.");
        }

        async Task AbuseAsync(Func<Abuse, Task> misbehave)
        {
            using (var other = new HttpClient(new SocketsHttpHandler { ConnectCallback = async (_, _) => await target.ConnectAsync() }) { DefaultRequestVersion = version, Timeout = TimeSpan.FromSeconds(20) })
            {
                await using var abuse = new Abuse(target, other);
                await misbehave(abuse);
                await abuse.OthersAreServedAsync();
            }

            target.App.Forget();
            await Eventually.Async(() => Tcp.OpenAt(target.Address) == 0, "no connection left", _patience);
            await Eventually.Async(() => target.App.Active == 0, "no request left in the app", _patience);
        }
    }

    /// <summary>Not UseMesh() in an app: what stands before the app there also stands before it in a sidecar.</summary>
    protected static TargetKind[] Kinds { get; } = [TargetKind.Kestrel, TargetKind.Sidecars, TargetKind.SidecarInbound];

    private static async Task<bool> SettlesAsync(long before)
    {
        try
        {
            await Eventually.Async(() => HeapInMegabytes() <= before + MostLeftInMegabytes, "little is left", _patienceForMemory);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    internal static long HeapInMegabytes() => GC.GetTotalMemory(forceFullCollection: true) >> 20;
}

/// <summary>Memory is counted: nothing else runs in the meantime.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

public sealed class HostileHttp2Tests(Http2Targets targets) : HostileTests(targets), IClassFixture<Http2Targets>
{
    public static TheoryData<TargetKind, string> Everywhere => [.. from kind in Kinds from name in Http2Abuses.All.Keys select (kind, name)];

    [Theory]
    [MemberData(nameof(Everywhere))]
    public Task Abuse_OfHttp2_OthersAreServedAndNothingIsLeft(TargetKind kind, string name) => SurvivesAsync(kind, HttpVersion.Version20, Http2Abuses.All[name]);
}

public sealed class HostileHttp1Tests(Http1Targets targets) : HostileTests(targets), IClassFixture<Http1Targets>
{
    public static TheoryData<TargetKind, string> Everywhere => [.. from kind in Kinds from name in Http1Abuses.All.Keys select (kind, name)];

    [Theory]
    [MemberData(nameof(Everywhere))]
    public Task Abuse_OfHttp1_OthersAreServedAndNothingIsLeft(TargetKind kind, string name) => SurvivesAsync(kind, HttpVersion.Version11, Http1Abuses.All[name]);
}
