namespace Mesh.Cli.Output;

/// <summary>What connections carry that are no HTTP.</summary>
internal static class TcpColumns
{
    public static readonly (string, bool)[] Heads = [("TCP_CONN", true), ("READ_BYTES/SEC", true), ("WRITE_BYTES/SEC", true)];

    /// <summary>Open connections; of a time past, which were open is not kept.</summary>
    public static string[] Of(GoldenItem item) =>
        [Table.Number(item.OpenConnections, "0"), Table.Number(item.ReadBytesPerSecond, "0.0", "B/s"), Table.Number(item.WrittenBytesPerSecond, "0.0", "B/s")];
}
