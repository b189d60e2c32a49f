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
        var known = KnownDeviations.Http2.GetValueOrDefault(title);

        var outcome = await theCase.RunAsync(await targets.GetAsync(kind));

        var allowed = theCase.Allowed.Contains(outcome);
        Assert.True(allowed || outcome == known?.Outcome, $"{theCase.Section}: {outcome}; allowed: {theCase.Allowed}; known: {known?.Outcome}");
        if (kind == TargetKind.Kestrel)
        {
            Assert.True(known is null || known.Sometimes || !allowed, $"It is a deviation no more: take it off the list. {outcome}");
        }
        else if (known is null)
        {
            // Equal to what Kestrel alone does, or stricter.
            var bare = await theCase.RunAsync(await targets.GetAsync(TargetKind.Kestrel));
            Assert.True(outcome.Strictness >= bare.Strictness, $"{outcome}, and {bare} by Kestrel alone");
        }
    }

    [Fact]
    public void Deviations_AllOfThem_AreOfCasesThatExist() => Assert.Empty(KnownDeviations.Http2.Keys.Except(Cases.Select(c => c.Title)));
}
