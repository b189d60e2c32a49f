using Mesh.Conformance.Tests.Targets;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>RFC 9113 and RFC 7541, a case per rule for servers.</summary>
public sealed class Http2ConformanceTests(Http2Targets targets) : IClassFixture<Http2Targets>
{
    internal static IReadOnlyList<Http2Case> Cases { get; } = [.. FramingCases.All, .. FrameTypeCases.All, .. FlowControlCases.All, .. SemanticsCases.All, .. HpackCases.All];

    public static TheoryData<TargetKind, string> Everywhere => [.. from kind in Enum.GetValues<TargetKind>() from c in Cases select (kind, c.Title)];

    [Theory]
    [MemberData(nameof(Everywhere))]
    public async Task Case_OnTarget_EndsAsTheSpecificationAllows(TargetKind kind, string title)
    {
        var theCase = Cases.Single(c => c.Title == title);

        var outcome = await theCase.RunAsync(await targets.GetAsync(kind));

        if (KnownDeviations.Http2.TryGetValue(title, out var known) && !(known.Sometimes && theCase.Allowed.Contains(outcome)))
        {
            // Still so? If not, the line in the list goes.
            Assert.Equal(known.Outcome, outcome);
            Assert.False(theCase.Allowed.Contains(outcome), "The deviation is none: take it off the list.");
        }
        else
        {
            Assert.True(theCase.Allowed.Contains(outcome), $"{theCase.Section}: {outcome}; allowed: {theCase.Allowed}");
        }
    }

    [Fact]
    public void Deviations_AllOfThem_AreOfCasesThatExist() => Assert.Empty(KnownDeviations.Http2.Keys.Except(Cases.Select(c => c.Title)));
}
