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

        var (reading, answer) = await theCase.RunAsync(await targets.GetAsync(kind));

        if (KnownDeviations.Http1.TryGetValue(title, out var known))
        {
            // Still so? If not, the line in the list goes.
            Assert.Equal(known.Reading, reading);
            Assert.DoesNotContain(reading, theCase.Allowed);
        }
        else
        {
            Assert.True(theCase.Allowed.Contains(reading), $"{theCase.Section}: {reading}; allowed: {string.Join(" or ", theCase.Allowed.AsEnumerable())}\n{answer}");
            theCase.CheckRefusal(answer);
        }
    }

    [Fact]
    public void Deviations_AllOfThem_AreOfCasesThatExist() => Assert.Empty(KnownDeviations.Http1.Keys.Except(Cases.Select(c => c.Title)));
}
