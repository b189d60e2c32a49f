namespace Mesh.ControlPlane.Injector;

/// <summary>Makes what users wrote fit to be shown in messages.</summary>
internal static class Shown
{
    /// <summary>Of an API server's warning, what is surely passed on.</summary>
    private const int MostOfAWarning = 250;

    /// <summary>At most 60 characters, none of them a control.</summary>
    public static string Short(string text) => Cut(text, 60);

    /// <summary>One line that the API server passes on.</summary>
    public static string Warning(string text) => Cut(text, MostOfAWarning);

    private static string Cut(string text, int most)
    {
        var clean = string.Concat(text.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
        return clean.Length <= most ? clean : clean[..(most - 1)] + '…';
    }
}
