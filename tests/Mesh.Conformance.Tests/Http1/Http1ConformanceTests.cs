using Mesh.Conformance.Tests.Targets;

namespace Mesh.Conformance.Tests.Http1;

/// <summary>RFC 9112: where a message begins and ends, and the matrix of requests that are smuggled.</summary>
public sealed class Http1ConformanceTests(Http1Targets targets) : IClassFixture<Http1Targets>
{
    internal static IReadOnlyList<Http1Case> Cases { get; } = [.. FramingCases.All, .. SmugglingCases.All];

    public static TheoryData<TargetKind, string> Everywhere => [.. from kind in Enum.GetValues<TargetKind>() from c in Cases select (kind, c.Title)];

    [Theory]
    [MemberData(nameof(Everywhere))]
    public async Task Case_OnTarget_IsReadAsTheSpecificationAllows(TargetKind kind, string title)
    {
        var theCase = Cases.Single(c => c.Title == title);
        var known = KnownDeviations.Http1.GetValueOrDefault(title);

        var (reading, answer) = await theCase.RunAsync(await targets.GetAsync(kind));

        var allowed = theCase.Allowed.Contains(reading);
        Assert.True(allowed || reading == known?.Reading, $"{theCase.Section}: {reading}; allowed: {string.Join(" or ", theCase.Allowed.AsEnumerable())}; known: {known?.Reading}\n{answer}");
        theCase.CheckRefusal(answer);
        if (kind == TargetKind.Kestrel)
        {
            Assert.True(known is null || !allowed, $"It is a deviation no more: take it off the list. {reading}");
        }
        else if (known is null && reading.Seen.Length > 0 && !KnownDeviations.BetweenTargets.ContainsKey(title))
        {
            // The app gets to see what it would have seen without us, or nothing.
            var (bare, _) = await theCase.RunAsync(await targets.GetAsync(TargetKind.Kestrel));
            Assert.Equal(bare.Seen.Select(Origin), reading.Seen.Select(Origin));
        }
    }

    /// <summary>An absolute-form may be given on as origin-form (RFC 9112 §3.2.1).</summary>
    private static string Origin(string seen) => seen.Replace(" http://conformance.test/", " /", StringComparison.Ordinal);

    [Fact]
    public void Deviations_AllOfThem_AreOfCasesThatExist() => Assert.Empty(KnownDeviations.Http1.Keys.Concat(KnownDeviations.BetweenTargets.Keys).Except(Cases.Select(c => c.Title)));
}
