using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>What a call or attempt counts as in the pair's numbers.</summary>
internal enum Verdict
{
    Success,
    Failure,

    /// <summary>Its caller gave up: neither.</summary>
    Cancelled,
}

/// <summary>From how it ended to what it counts as.</summary>
internal static class Verdicts
{
    public static Verdict Of(AttemptResult result) => result.End == AttemptEnd.Cancelled ? Verdict.Cancelled : result.IsFailure ? Verdict.Failure : Verdict.Success;

    /// <summary>Value of <see cref="MeshTags.Outcome"/>.</summary>
    public static string Tag(this Verdict verdict) => verdict switch
    {
        Verdict.Failure => MeshTags.Failure,
        Verdict.Cancelled => MeshTags.Cancelled,
        _ => MeshTags.Success,
    };
}
