namespace Mesh.ControlPlane.Sources;

/// <summary>A source that is told of changes by another server, and may be behind it.</summary>
internal interface IWatchedSource
{
    /// <summary>How each kind of object stands.</summary>
    IReadOnlyList<KindState> Kinds { get; }
}

/// <summary>How well one kind of object is known.</summary>
/// <param name="Exists">The server has it; false where a CRD is not installed.</param>
/// <param name="Synced">All of it was read once, or it does not exist.</param>
/// <param name="Events">Changes since the start.</param>
/// <param name="Lists">How often all of it was read.</param>
/// <param name="Heard">When the server last said anything of it, a bookmark too; null before the first.</param>
/// <param name="Trouble">Why nothing can be heard now; null while it can.</param>
internal sealed record KindState(string Kind, bool Exists, bool Synced, int Objects, long Events, long Lists, DateTimeOffset? Heard, string? Trouble);
