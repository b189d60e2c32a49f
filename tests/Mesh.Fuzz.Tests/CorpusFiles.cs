namespace Mesh.Fuzz.Tests;

/// <summary>Inputs that were made once and kept, so that the same seed tries the same.</summary>
internal static class CorpusFiles
{
    /// <param name="target">The folder below Corpus.</param>
    public static IReadOnlyList<byte[]> Of(string target) =>
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Corpus", target)).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];
}
