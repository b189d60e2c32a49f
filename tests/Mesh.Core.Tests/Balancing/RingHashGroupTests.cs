using CsCheck;
using Mesh.Config;
using Mesh.Routing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

[Trait("gRFC", "A42")]
public sealed class RingHashGroupTests
{
    private const int Keys = 4_000;
    private static readonly FakeTimeProvider _time = new();
    private static readonly Random _random = new(1);

    // Worked out by a program of its own, in Python, from the text of gRFC A42 and the definition of XXH64.
    [Fact]
    public void Pick_EqualShares_AreThoseOfTheSpecification()
    {
        BalancedEndpoint[] endpoints = [Endpoint("127.0.0.1", 9001), Endpoint("127.0.0.1", 9002), Endpoint("::1", 9003)];
        var ring = new RingHashGroup(endpoints, [1 / 3.0, 1 / 3.0, 1 / 3.0], RingHashSize.Default);

        Assert.Equal(1026, ring.Count);
        int[] expected = [1, 0, 1, 0, 2, 0, 1, 2, 0, 0, 1, 2, 2, 2, 1, 1, 1, 2, 0, 0, 0, 2, 1, 0];
        Assert.Equal(expected, Enumerable.Range(0, 24).Select(i => Array.IndexOf(endpoints, Pick(ring, $"key-{i}"))));
    }

    [Fact]
    public void Pick_WeightedShares_AreThoseOfTheSpecification()
    {
        BalancedEndpoint[] endpoints = [Endpoint("10.0.0.1"), Endpoint("10.0.0.2")];
        var ring = new RingHashGroup(endpoints, [0.25, 0.75], RingHashSize.Default);

        Assert.Equal(1024, ring.Count);
        int[] expected = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0];
        Assert.Equal(expected, Enumerable.Range(0, 24).Select(i => Array.IndexOf(endpoints, Pick(ring, $"key-{i}"))));
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 8_388_608, 3)]
    [InlineData(0, 4096, 3)]
    [InlineData(1024, 1024, 1024)]
    [InlineData(8_388_608, 8_388_608, 4096)]
    public void Count_IsBoundedByTheSettingsAndByUs(long min, long max, int expected) =>
        Assert.Equal(expected, Ring(3, new RingHashSize(min, max)).Ring.Count);

    [Fact]
    public void Pick_HashPastTheLastEntry_WrapsToTheFirst()
    {
        var (ring, _) = Ring(5, RingHashSize.Default);
        Assert.Same(ring.Pick(Request(0)), ring.Pick(Request(ulong.MaxValue)));
    }

    [Fact]
    public void Pick_Tried_GoesToTheNextOtherOneUntilNoneIsLeft()
    {
        var (ring, endpoints) = Ring(4, RingHashSize.Default);
        var tried = default(TriedEndpoints);
        var seen = new HashSet<BalancedEndpoint>();
        for (var i = 0; i < endpoints.Length; i++)
        {
            var next = ring.Pick(new PickRequest(_random, 42, 0, tried, LeftOut.Nobody))!;
            Assert.True(seen.Add(next));
            tried.Add(next);
        }

        Assert.Null(ring.Pick(new PickRequest(_random, 42, 0, tried, LeftOut.Nobody)));
    }

    [Fact]
    public void Pick_OneSitsOut_OnlyItsKeysMove() => Gen.Select(Gen.Int[2, 40], Gen.Int[0, 39]).Sample(
        (n, which) =>
        {
            var (ring, endpoints) = Ring(n, RingHashSize.Default);
            var before = PickAll(ring);
            endpoints[which % n].EjectedUntil = long.MaxValue;
            var moved = 0;
            for (var key = 0; key < Keys; key++)
            {
                var after = ring.Pick(new PickRequest(_random, CallHasher.OfText($"k{key}"), 0, default, LeftOut.Unusable));
                Assert.NotSame(endpoints[which % n], after);
                moved += ReferenceEquals(before[key], after) ? 0 : 1;
                Assert.True(ReferenceEquals(before[key], after) || ReferenceEquals(before[key], endpoints[which % n]));
            }

            // The ring's own unevenness and that of the keys.
            Assert.InRange(moved / (double)Keys, 0, (1.0 / n) + 0.06);
        },
        iter: 40);

    // An endpoint that is gone for good makes the others' entries more by 1/n, as every client of gRPC counts them: those take keys from one another too.
    [Fact]
    public void Pick_OneOfManyIsGone_MovesFewKeys() => Gen.Int[2, 40].Sample(
        n =>
        {
            var (ring, endpoints) = Ring(n, RingHashSize.Default);
            var before = PickAll(ring);
            var after = PickAll(new RingHashGroup(endpoints[1..], Equal(n - 1), RingHashSize.Default));
            var moved = Enumerable.Range(0, Keys).Count(key => !ReferenceEquals(before[key], after[key]));
            Assert.InRange(moved / (double)Keys, 0, (1.0 / n) + ((n - 2.0) / (n * n)) + 0.06);
        },
        iter: 40);

    [Fact]
    public void Pick_Weights_AreFollowed() => Gen.Int[1, 9].Array[2, 8].Sample(
        weights =>
        {
            BalancedEndpoint[] endpoints = [.. weights.Select((_, i) => Endpoint($"10.0.0.{i + 1}"))];
            double[] shares = [.. weights.Select(w => w / (double)weights.Sum())];
            var ring = new RingHashGroup(endpoints, shares, new RingHashSize(4096, 4096));
            var picks = PickAll(ring).GroupBy(e => e).ToDictionary(g => g.Key, g => g.Count() / (double)Keys);
            Assert.All(endpoints, (e, i) => Assert.InRange(picks.GetValueOrDefault(e), shares[i] - 0.08, shares[i] + 0.08));
        },
        iter: 40);

    [Fact]
    [Trait("gRFC", "A76")]
    public void Pick_HashKeyOfAnEndpoint_StandsForItsAddress()
    {
        BalancedEndpoint[] moved = [Endpoint("10.9.9.9", key: "10.0.0.1:80"), Endpoint("10.9.9.8", key: "10.0.0.2:80")];
        BalancedEndpoint[] plain = [Endpoint("10.0.0.1"), Endpoint("10.0.0.2")];
        var (a, b) = (new RingHashGroup(moved, Equal(2), RingHashSize.Default), new RingHashGroup(plain, Equal(2), RingHashSize.Default));

        Assert.All(Enumerable.Range(0, 100), i => Assert.Equal(Array.IndexOf(moved, Pick(a, $"k{i}")), Array.IndexOf(plain, Pick(b, $"k{i}"))));
    }

    [Fact]
    public void Pick_AllocatesNothing()
    {
        var (ring, _) = Ring(5, RingHashSize.Default);
        ring.Pick(Request(1));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0UL; i < 1_000; i++)
        {
            ring.Pick(Request(i << 50));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static PickRequest Request(ulong hash) => new(_random, hash, 0, default, LeftOut.Nobody);

    private static BalancedEndpoint Pick(RingHashGroup ring, string key) => ring.Pick(Request(CallHasher.OfText(key)))!;

    private static BalancedEndpoint[] PickAll(RingHashGroup ring) => [.. Enumerable.Range(0, Keys).Select(i => Pick(ring, $"k{i}"))];

    private static (RingHashGroup Ring, BalancedEndpoint[] Endpoints) Ring(int count, RingHashSize size)
    {
        BalancedEndpoint[] endpoints = [.. Enumerable.Range(1, count).Select(i => Endpoint($"10.0.0.{i}"))];
        return (new RingHashGroup(endpoints, Equal(count), size), endpoints);
    }

    private static double[] Equal(int count) => [.. Enumerable.Repeat(1.0 / count, count)];

    private static BalancedEndpoint Endpoint(string address, int port = 80, string? key = null) =>
        new(new Endpoint(address, port, 1, true) { HashKey = key }, new PeakEwma(_time, PeakEwma.DefaultRtt));
}
