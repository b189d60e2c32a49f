namespace Mesh.Conformance.Tests.Wire;

internal static class Patience
{
    /// <summary>How long a server may be silent before that is what is recorded: generous, for a green run never waits that long.</summary>
    public static TimeSpan Limit { get; } = TimeSpan.FromSeconds(10);
}
