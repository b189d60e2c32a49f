namespace Mesh.Config;

/// <summary>One thing wrong with a configuration: where, what was seen, how to fix it.</summary>
/// <param name="Path">Where, such as <c>endpoints[2].address</c>.</param>
/// <param name="Problem">What is wrong, with the value seen.</param>
/// <param name="Fix">What to do about it; empty when the problem says it.</param>
internal sealed record ConfigError(string Path, string Problem, string Fix = "")
{
    public override string ToString() => Fix.Length == 0 ? $"{Path} {Problem}" : $"{Path} {Problem}. {Fix}";
}
