using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mesh.Traffic;

/// <summary>A block of addresses (CIDR). Bits behind the prefix do not count. Immutable and thread-safe.</summary>
/// <remarks>A range of one family holds no address of the other: <c>::/0</c> is every IPv6 address. IPv4-mapped IPv6 (<c>::ffff:a.b.c.d</c>) is IPv4, in ranges as in addresses.</remarks>
internal sealed record AddressRange
{
    private readonly AddressBits _first;
    private readonly UInt128 _mask;

    private AddressRange(AddressBits first, int prefixLength)
    {
        var width = first.IsIPv4 ? 32 : 128;
        PrefixLength = prefixLength;
        _mask = prefixLength == 0 ? UInt128.Zero : UInt128.MaxValue << (width - prefixLength);
        _first = first with { Value = first.Value & _mask };
    }

    public int PrefixLength { get; }

    /// <summary>False when the text is no address, or the length more than its family has.</summary>
    public static bool TryCreate(string address, uint prefixLength, [NotNullWhen(true)] out AddressRange? range)
    {
        range = null;
        // "10.1", "0x0a.1", "[::1]:80" and "fe80::1%eth0" are addresses to IPAddress: here they are mistakes.
        if (!IPAddress.TryParse(address, out var parsed) || address.AsSpan().ContainsAny('[', '%', 'x') || (!address.Contains(':', StringComparison.Ordinal) && address.AsSpan().Count('.') != 3))
        {
            return false;
        }

        var mapped = parsed.IsIPv4MappedToIPv6;
        var bits = AddressBits.Of(parsed);
        if (mapped)
        {
            // ::ffff:10.0.0.0/104 is 10.0.0.0/8; a shorter prefix would hold IPv6 addresses too.
            if (prefixLength is < 96 or > 128)
            {
                return false;
            }

            prefixLength -= 96;
        }

        if (prefixLength > (bits.IsIPv4 ? 32u : 128u))
        {
            return false;
        }

        range = new AddressRange(bits, (int)prefixLength);
        return true;
    }

    public bool Contains(AddressBits address) => address.IsKnown && address.IsIPv4 == _first.IsIPv4 && (address.Value & _mask) == _first.Value;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{_first}/{PrefixLength}");
}

/// <summary>An address as a number, IPv4-mapped IPv6 as the IPv4 address it stands for. The default is "not known": no range holds it.</summary>
internal readonly record struct AddressBits(UInt128 Value, bool IsIPv4, bool IsKnown)
{
    /// <summary>Null (a Unix socket) is not known.</summary>
    public static AddressBits Of(IPAddress? address)
    {
        if (address is null)
        {
            return default;
        }

        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        return address.AddressFamily == AddressFamily.InterNetwork ? new(BinaryPrimitives.ReadUInt32BigEndian(bytes), true, true)
            : address.IsIPv4MappedToIPv6 ? new(BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]), true, true)
            : new(BinaryPrimitives.ReadUInt128BigEndian(bytes), false, true);
    }

    public override string ToString()
    {
        if (!IsKnown)
        {
            return "unknown";
        }

        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Value);
        return new IPAddress(IsIPv4 ? bytes[12..] : bytes).ToString();
    }
}
