using System.Numerics;
using CsCheck;
using Mesh.Policy;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Policy;

public sealed class LocalRateLimiterTests
{
    private readonly FakeTimeProvider _time = new();

    // Requests per interval, burst, and the pauses between arrivals, as parts of the pace.
    private static readonly Gen<(int Requests, int IntervalMs, int Burst, int[] Pauses)> _arrivals =
        Gen.Select(Gen.Int[1, 50], Gen.Int[0, 3].Select(i => new[] { 100, 700, 1_000, 60_000 }[i]), Gen.Int[1, 20], Gen.Int[0, 250].Array[1, 200]);

    [Fact]
    public void TryTake_AnyArrivals_NeverMoreThanBurstPlusRateTimesWindow() => _arrivals.Sample(given =>
    {
        var (limiter, interval) = Limiter(given, out var time);
        var taken = new List<TimeSpan>();
        var now = TimeSpan.Zero;
        foreach (var pause in given.Pauses)
        {
            var step = TimeSpan.FromTicks(interval.Ticks / given.Requests * pause / 100);
            time.Advance(step);
            now += step;
            if (limiter.TryTake("a", out _) is not null)
            {
                taken.Add(now);
            }
        }

        for (var from = 0; from < taken.Count; from++)
        {
            for (var to = from; to < taken.Count; to++)
            {
                var most = given.Burst + ((taken[to] - taken[from]).Ticks * (Int128)given.Requests / interval.Ticks);
                Assert.True(to - from + 1 <= most, $"{to - from + 1} in {taken[to] - taken[from]}, at most {most}");
            }
        }
    });

    [Fact]
    public void TryTake_AnyArrivals_AnswersAsATokenBucketOfExactNumbers() => _arrivals.Where(g => g.IntervalMs * 1_000_000L % g.Requests == 0).Sample(given =>
    {
        var (limiter, interval) = Limiter(given, out var time);
        // A whole token is worth the interval's ticks; the bucket fills by Requests per tick.
        BigInteger token = interval.Ticks;
        var tokens = token * given.Burst;
        foreach (var pause in given.Pauses)
        {
            var step = TimeSpan.FromTicks(interval.Ticks / given.Requests * pause / 100);
            time.Advance(step);
            tokens = BigInteger.Min(token * given.Burst, tokens + ((BigInteger)step.Ticks * given.Requests));
            var expected = tokens >= token;

            Assert.Equal(expected, limiter.TryTake("a", out var retryAfter) is not null);

            if (expected)
            {
                tokens -= token;
                Assert.Equal(TimeSpan.Zero, retryAfter);
            }
            else
            {
                Assert.Equal((long)((token - tokens + given.Requests - 1) / given.Requests), retryAfter.Ticks);
            }
        }
    });

    [Fact]
    public void TryTake_Refused_RetryAfterIsTheFirstMomentThatWorks()
    {
        var limiter = new LocalRateLimiter(3, TimeSpan.FromSeconds(1), 2, _time);
        Assert.NotNull(limiter.TryTake(null, out _));
        Assert.NotNull(limiter.TryTake(null, out _));
        Assert.Null(limiter.TryTake(null, out var retryAfter));
        // A third of a second, up to the next 100 ns.
        Assert.Equal(3_333_334, retryAfter.Ticks);

        _time.Advance(retryAfter - TimeSpan.FromTicks(1));
        Assert.Null(limiter.TryTake(null, out var left));
        Assert.Equal(TimeSpan.FromTicks(1), left);
        _time.Advance(left);
        Assert.NotNull(limiter.TryTake(null, out _));
    }

    [Fact]
    public void TryTake_TwoKeys_DoNotTakeFromEachOther()
    {
        var limiter = new LocalRateLimiter(1, TimeSpan.FromMinutes(1), 1, _time);

        Assert.NotNull(limiter.TryTake("a", out _));
        Assert.NotNull(limiter.TryTake("b", out _));
        Assert.Null(limiter.TryTake("a", out _));
        Assert.NotNull(limiter.TryTake(null, out _));
    }

    [Fact]
    public void GiveBack_ATakenRequest_LetsAnotherThrough()
    {
        var limiter = new LocalRateLimiter(1, TimeSpan.FromMinutes(1), 1, _time);
        var bucket = limiter.TryTake("a", out _)!;
        Assert.Null(limiter.TryTake("a", out _));

        limiter.GiveBack(bucket);

        Assert.NotNull(limiter.TryTake("a", out _));
        Assert.Null(limiter.TryTake("a", out _));
    }

    [Fact]
    public void TryTake_ManyInventedKeys_MemoryIsBoundedAndKnownKeysAreServed()
    {
        var limiter = new LocalRateLimiter(1, TimeSpan.FromHours(1), 2, _time);
        Assert.NotNull(limiter.TryTake("known", out _));
        for (var i = 0; i < LocalRateLimiter.MaxKeys * 3; i++)
        {
            limiter.TryTake($"invented {i}", out _);
        }

        Assert.Equal(LocalRateLimiter.MaxKeys, limiter.KeyCount);
        // What has no room shares one bucket, used up by now; what was known keeps its own.
        Assert.Null(limiter.TryTake("one more", out _));
        Assert.NotNull(limiter.TryTake("known", out _));
        Assert.Null(limiter.TryTake("known", out _));
    }

    [Fact]
    public void TryTake_KeysThatOweNothing_AreForgotten()
    {
        var limiter = new LocalRateLimiter(1, TimeSpan.FromSeconds(10), 1, _time);
        for (var i = 0; i < 500; i++)
        {
            limiter.TryTake($"old {i}", out _);
        }

        _time.Advance(TimeSpan.FromSeconds(5));
        limiter.TryTake("younger", out _);
        Assert.Equal(501, limiter.KeyCount);
        _time.Advance(TimeSpan.FromSeconds(5));
        limiter.TryTake("new", out _);

        Assert.Equal(2, limiter.KeyCount);
        Assert.Null(limiter.TryTake("younger", out _));
        Assert.NotNull(limiter.TryTake("old 7", out _));
    }

    [Fact]
    public async Task TryTake_ManyThreadsWhileKeysAreForgotten_CountsExactly()
    {
        const int keys = 50;
        const int burst = 5;
        var limiter = new LocalRateLimiter(1, TimeSpan.FromHours(1), burst, _time);
        var taken = new int[keys];
        for (var round = 1; round <= 40; round++)
        {
            // All is paid back: every bucket may be forgotten by the first thread while the others take from it.
            _time.Advance(TimeSpan.FromHours(burst));
            await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(
                () =>
                {
                    for (var i = 0; i < keys * burst; i++)
                    {
                        var key = (i + (thread * 13)) % keys;
                        if (limiter.TryTake($"k{key}", out _) is not null)
                        {
                            Interlocked.Increment(ref taken[key]);
                        }

                        if (i % 50 == 0)
                        {
                            limiter.TryTake($"r{round} t{thread} {i}", out _);
                        }
                    }
                },
                TestContext.Current.CancellationToken)));
            Assert.All(taken, count => Assert.Equal(burst * round, count));
        }
    }

    [Theory]
    [InlineData(1, 1, int.MaxValue)]
    [InlineData(int.MaxValue, 1, int.MaxValue)]
    [InlineData(1, 86_400_000, int.MaxValue)]
    public void TryTake_ExtremeNumbers_DoNotOverflow(int requests, int intervalMs, int burst)
    {
        var limiter = new LocalRateLimiter(requests, TimeSpan.FromMilliseconds(intervalMs), burst, _time);
        for (var i = 0; i < 100; i++)
        {
            Assert.NotNull(limiter.TryTake(null, out _));
        }

        _time.Advance(TimeSpan.FromDays(3_650));
        Assert.NotNull(limiter.TryTake(null, out _));
    }

    private static (LocalRateLimiter Limiter, TimeSpan Interval) Limiter((int Requests, int IntervalMs, int Burst, int[] Pauses) given, out FakeTimeProvider time)
    {
        time = new FakeTimeProvider();
        var interval = TimeSpan.FromMilliseconds(given.IntervalMs);
        return (new LocalRateLimiter(given.Requests, interval, given.Burst, time), interval);
    }
}
