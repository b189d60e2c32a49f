using Mesh.Conformance.Tests.Wire;
using static Mesh.Conformance.Tests.Http2.Http2Case;
using static Mesh.Conformance.Tests.Http2.Requests;
using static Mesh.Conformance.Tests.Wire.ErrorCode;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>RFC 7541: what a decoder has to refuse, and what it has to get right. Every error is a connection error COMPRESSION_ERROR (RFC 9113 §4.3).</summary>
internal static class HpackCases
{
    private static readonly byte[] _get = Get("/field");

    public static IEnumerable<Http2Case> All => [.. Indices, .. Integers, .. Strings, .. Sizes, .. Tables];

    private static IEnumerable<Http2Case> Indices =>
    [
        Bad("§6.1", "index 0", [0x80]),
        Bad("§2.3.3", "an index above both tables", Hpack.Indexed(70)),
        Bad("§2.3.3", "the first index of an empty dynamic table", Hpack.Indexed(62)),
        Bad("§2.3.3", "a literal whose name has an index above both tables", Hpack.Literal(70, "1")),
        Bad("§2.3.3", "an indexed literal whose name has an index above both tables", Hpack.Literal(70, "1", indexed: true)),
        Bad("§2.3.3", "a never indexed literal whose name has an index above both tables", Hpack.Literal(70, "1", never: true)),
    ];

    private static IEnumerable<Http2Case> Integers =>
    [
        Bad("§5.1", "an index of 2^35", [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        Bad("§5.1", "an index in ten octets of continuation", [0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
        Bad("§5.1", "an index without an end", [0xff, 0x80, 0x80]),
        Bad("§5.1", "a string's length of 2^32", [0x00, 0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f]),
        Bad("§5.1", "a table size of 2^32", [0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f], first: true),
        Of("7541 §5.1", "a length with an octet that adds nothing (a decoder may limit how many octets it takes)", w => w
            .Headers(1, [.. _get, .. Hpack.Integer(0, 4, 0), .. Hpack.Text("x-value"), 0x7f, 0x80, 0x00, .. new string('a', 127).Select(c => (byte)c)]),
            Allowed.Served | Allowed.Connection(CompressionError), 1) with { Then = r => Assert.Equal(127, r.Single().Headers["x-value"].Length) },
    ];

    private static IEnumerable<Http2Case> Strings =>
    [
        Bad("§5.2", "a string longer than its block", [0x00, 0x01, (byte)'x', 0x05, (byte)'a']),
        Bad("§5.2", "a name without a value", [0x00, 0x01, (byte)'x']),
        Bad("§5.2", "a literal without a name", [0x00]),
        Bad("§5.2", "EOS in a Huffman string", Named(Hpack.Text(Huffman.EncodeSymbols(['a', Huffman.Eos, 'b']), 0x80))),
        Bad("§5.2", "a Huffman string that is EOS", Named(Hpack.Text(Huffman.EncodeSymbols([Huffman.Eos]), 0x80))),
        Bad("§5.2", "Huffman padding of zeros", Named(Hpack.Text(Huffman.EncodeSymbols(['a'], padding: 0), 0x80))),
        Bad("§5.2", "Huffman padding of more than seven bits", Named(Hpack.Text(Huffman.EncodeSymbols(['a'], extraPaddingBytes: 1), 0x80))),
        Bad("§5.2", "a Huffman string that is all padding", Named(Hpack.Text([0xff], 0x80))),
        Bad("§5.2", "a Huffman string that ends within a long code", Named(Hpack.Text([0xff, 0xff, 0xfb], 0x80))),
        Good("§5.2", "an empty Huffman string", Named(Hpack.Text([], 0x80)), ""),
        Good("§5.2", "a Huffman string without padding", Named(Hpack.Text(Huffman.EncodeSymbols("aaaaaaaa".Select(c => (int)c)), 0x80)), "aaaaaaaa"),
        Good("§5.2", "all printable characters in Huffman code", Hpack.Literal("x-value", Printable, huffman: true), Printable),
        Good("§5.2", "a Huffman name and a plain value", [0x00, .. Hpack.Text("x-value", huffman: true), .. Hpack.Text("1")], "1"),
    ];

    private static IEnumerable<Http2Case> Sizes =>
    [
        Bad("§6.3", "a table size above SETTINGS_HEADER_TABLE_SIZE", Hpack.TableSize(4097), first: true),
        Bad("§4.2", "a table size after a field", Hpack.TableSize(0)),
        Of("7541 §4.2", "two table sizes at a block's beginning", w => w.Headers(1, [.. Hpack.TableSize(0), .. Hpack.TableSize(4096), .. _get]), Allowed.Served, 1),
        Of("7541 §4.3", "a table size of 0 evicts everything", w => w
            .Headers(1, [.. _get, .. Hpack.Literal("x-value", "kept", indexed: true)])
            .Headers(3, [.. Hpack.TableSize(0), .. Hpack.TableSize(4096), .. _get, .. Hpack.Indexed(62)]), Allowed.Connection(CompressionError), 3),
        Of("7541 §4.3", "a table size that leaves one of two entries", w => w
            .Headers(1, [.. _get, .. Hpack.Literal("x-other", "old", indexed: true), .. Hpack.Literal("x-value", "new", indexed: true)])
            .Headers(3, [.. Hpack.TableSize(45), .. _get, .. Hpack.Indexed(62)]), Allowed.Served, 3) with { Then = r => Assert.Contains(r, x => x.Headers.GetValueOrDefault("x-value") == "new") },
        Of("7541 §4.3", "a table size that leaves one of two entries: the other is gone", w => w
            .Headers(1, [.. _get, .. Hpack.Literal("x-other", "old", indexed: true), .. Hpack.Literal("x-value", "new", indexed: true)])
            .Headers(3, [.. Hpack.TableSize(45), .. _get, .. Hpack.Indexed(63)]), Allowed.Connection(CompressionError), 3),
    ];

    private static IEnumerable<Http2Case> Tables =>
    [
        Of("7541 §6.2.1", "an entry is referred to in the same block", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-value", "1", indexed: true), .. Hpack.Indexed(62)]), Allowed.Served, 1)
            with { Then = r => Assert.Equal("1,1", r.Single().Headers["x-value"]) },
        Of("7541 §6.2.1", "an entry is referred to in the next block", w => w.Headers(1, [.. Get("/first"), .. Hpack.Literal("x-value", "1", indexed: true)]).Headers(3, [.. _get, .. Hpack.Indexed(62)]), Allowed.Served, 3)
            with { Then = r => Assert.Equal("1", r.Single(x => x.Target == "/field").Headers["x-value"]) },
        Of("7541 §6.2.1", "an entry's name is used with another value", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-value", "1", indexed: true)]).Headers(3, [.. _get, .. Hpack.Literal(62, "2")]), Allowed.Served, 3)
            with { Then = r => Assert.Contains(r, x => x.Headers.GetValueOrDefault("x-value") == "2") },
        Of("7541 §2.3.2", "the newest entry comes first", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-other", "1", indexed: true), .. Hpack.Literal("x-value", "2", indexed: true), .. Hpack.Indexed(63)]), Allowed.Served, 1)
            with { Then = r => Assert.Equal("1,1", r.Single().Headers["x-other"]) },
        Of("7541 §6.2.2", "a literal without indexing leaves no entry", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-value", "1"), .. Hpack.Indexed(62)]), Allowed.Connection(CompressionError), 1),
        Of("7541 §6.2.3", "a never indexed literal leaves no entry", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-value", "1", never: true), .. Hpack.Indexed(62)]), Allowed.Connection(CompressionError), 1),
        Of("7541 §4.4", "the oldest entry is evicted", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-old", "1", indexed: true), .. Hpack.Literal("x-value", new string('a', 4000), indexed: true), .. Hpack.Literal("x-value", "b", indexed: true), .. Hpack.Indexed(64)]), Allowed.Connection(CompressionError), 1),
        Of("7541 §4.4", "entries that just fit stay", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-old", "1", indexed: true), .. Hpack.Literal("x-value", new string('a', 4096 - 38 - 39), indexed: true), .. Hpack.Indexed(63)]), Allowed.Served, 1)
            with { Then = r => Assert.Equal("1,1", r.Single().Headers["x-old"]) },
        Of("7541 §4.4", "entries one octet too large evict", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-old", "1", indexed: true), .. Hpack.Literal("x-value", new string('a', 4096 - 38 - 38), indexed: true), .. Hpack.Indexed(63)]), Allowed.Connection(CompressionError), 1),
        Of("7541 §4.4", "an entry above the table's size empties it and is no error", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-old", "1", indexed: true), .. Hpack.Literal("x-value", new string('a', 5000), indexed: true)]), Allowed.Served, 1)
            with { Then = r => Assert.Equal(5000, r.Single().Headers["x-value"].Length) },
        Of("7541 §4.4", "after an entry above the table's size nothing is left", w => w.Headers(1, [.. _get, .. Hpack.Literal("x-old", "1", indexed: true), .. Hpack.Literal("x-value", new string('a', 5000), indexed: true), .. Hpack.Indexed(62)]), Allowed.Connection(CompressionError), 1),
        Of("7541 §4.4", "a name whose entry is evicted by its own new entry", w => w
            .Headers(1, [.. _get, .. Hpack.Literal("x-value", new string('a', 4000), indexed: true)])
            .Headers(3, [.. _get, .. Hpack.Literal(62, new string('b', 4000), indexed: true), .. Hpack.Indexed(62)]), Allowed.Served, 3)
            with { Then = r => Assert.Contains(r, x => x.Headers.GetValueOrDefault("x-value") == $"{new string('b', 4000)},{new string('b', 4000)}") },
        Of("7541 App. A", "every entry of the static table, by index", w => w.Headers(1, [.. Hpack.Indexed(2), .. Hpack.Indexed(6), .. Hpack.Indexed(5), .. Hpack.Literal(1, Authority), .. Hpack.Indexed(16)]), Allowed.Served, 1)
            with { Then = r => Assert.Equal(("GET", "/index.html", "gzip,deflate"), (r.Single().Method, r.Single().Target, r.Single().Headers["accept-encoding"])) },
        Of("7541 App. A", "names of the static table", w => w.Headers(1, [.. _get, .. StaticNames.SelectMany(i => Hpack.Literal(i, $"v{i}"))]), Allowed.Served, 1)
            with { Then = r => Assert.All(StaticNames, i => Assert.Equal($"v{i}", r.Single().Headers[new HpackTables()[i].Name])) },
    ];

    private static string Printable { get; } = string.Concat(Enumerable.Range(0x21, 0x7e - 0x20).Select(c => (char)c));

    /// <summary>Fields of requests, and those that any message may have; not those that say how long a message is or where it goes.</summary>
    private static int[] StaticNames { get; } = [.. Enumerable.Range(15, 47).Except([28, 32, 33, 35, 36, 38, 40, 42, 43, 44, 50, 57])];

    private static byte[] Named(byte[] value) => [0x00, .. Hpack.Text("x-value"), .. value];

    private static Http2Case Bad(string section, string name, byte[] field, bool first = false) =>
        Of($"7541 {section}", name, w => w.Headers(1, first ? [.. field, .. _get] : [.. _get, .. field]), Allowed.Connection(CompressionError), 1);

    private static Http2Case Good(string section, string name, byte[] field, string value) =>
        Of($"7541 {section}", name, w => w.Headers(1, [.. _get, .. field]), Allowed.Served, 1) with { Then = r => Assert.Equal(value, r.Single().Headers["x-value"]) };
}
