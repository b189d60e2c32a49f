namespace Mesh.ControlPlane.Model;

/// <summary>Annotation <c>meshlib.io/meshed</c> of a Pod, as it is written: <c>sidecar</c>, <c>library:8080,9090</c>, or <c>library</c> for all ports.</summary>
internal static class MarkText
{
    public const string Sidecar = "sidecar";
    public const string Library = "library";
    private const string LibraryPorts = Library + ":";

    /// <summary>Whether a port is marked; null: it is not, else whether a sidecar serves it. A sidecar serves all.</summary>
    public static bool? Find(string? text, int port) => text switch
    {
        Sidecar => true,
        Library => false,
        not null when text.StartsWith(LibraryPorts, StringComparison.Ordinal) && PortRanges.TryParse(text[LibraryPorts.Length..], out var ports) && ports.Contains(port) => false,
        _ => null,
    };

    /// <summary>The text that marks these ports as well; what a workload serves by itself replaces what a sidecar did.</summary>
    public static string With(string? text, IEnumerable<int> ports, bool sidecar)
    {
        if (sidecar || text == Library)
        {
            return sidecar ? Sidecar : Library;
        }

        var (held, known) = text?.StartsWith(LibraryPorts, StringComparison.Ordinal) == true && PortRanges.TryParse(text[LibraryPorts.Length..], out var marked)
            ? (text[LibraryPorts.Length..], marked)
            : (string.Empty, PortRanges.None);
        return LibraryPorts + string.Join(',', ports.Distinct().Where(p => !known.Contains(p)).Order().Select(p => p.ToString(System.Globalization.CultureInfo.InvariantCulture)).Prepend(held).Where(p => p.Length > 0));
    }
}
