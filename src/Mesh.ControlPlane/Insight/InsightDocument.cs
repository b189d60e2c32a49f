using System.Text.Json.Serialization;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>What a document rests on: which time, and how whole the numbers of it are.</summary>
/// <param name="From">Of what was really summed.</param>
/// <param name="To">Of what was really summed.</param>
/// <param name="LeftOut">Fields that are empty or null because nobody knows what they were then.</param>
internal sealed record InsightBasis(
    InsightTime Time, DateTimeOffset From, DateTimeOffset To, DateTimeOffset ReachesBackTo, string Store, IReadOnlyList<MissingReplica> Partial, IReadOnlyList<MissingTime> Gaps, IReadOnlyList<string> LeftOut)
{
    /// <param name="ofThePast">What is left out where the time is past.</param>
    public static InsightBasis Of<T>(InsightTime time, GoldenAnswer<T> answer, IReadOnlyList<string> ofThePast) =>
        new(time, answer.From, answer.To, answer.ReachesBackTo, answer.Store, answer.Partial, answer.Gaps, time.IsPast ? ofThePast : []);

    /// <summary>Without what is another one each time that it is made.</summary>
    public InsightBasis Timeless => this with { Time = new InsightTime(DateTimeOffset.MinValue, DateTimeOffset.MinValue, DateTimeOffset.MinValue + Time.Length), From = default, To = default, ReachesBackTo = default };
}

/// <summary>What every document about the mesh begins with (docs/api.md).</summary>
internal abstract record InsightDocument([property: JsonIgnore] InsightBasis Basis)
{
    [JsonPropertyOrder(-10)]
    public DateTimeOffset At => Basis.Time.Now;

    [JsonPropertyOrder(-9)]
    public int WindowS => (int)Basis.Time.Length.TotalSeconds;

    [JsonPropertyOrder(-8)]
    public DateTimeOffset From => Basis.From;

    [JsonPropertyOrder(-7)]
    public DateTimeOffset To => Basis.To;

    /// <summary>It is about a time that is over: what is known of now alone is left out.</summary>
    [JsonPropertyOrder(-6)]
    public bool Past => Basis.Time.IsPast;

    [JsonPropertyOrder(-5)]
    public IReadOnlyList<string> LeftOut => Basis.LeftOut;

    [JsonPropertyOrder(-4)]
    public DateTimeOffset ReachesBackTo => Basis.ReachesBackTo;

    [JsonPropertyOrder(-3)]
    public string Store => Basis.Store;

    [JsonPropertyOrder(-2)]
    public IReadOnlyList<MissingReplica> Partial => Basis.Partial;

    [JsonPropertyOrder(-1)]
    public IReadOnlyList<MissingTime> Gaps => Basis.Gaps;
}
