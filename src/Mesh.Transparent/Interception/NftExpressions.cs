using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mesh.Transparent.Interception;

/// <summary>What a rule compares and does, in the small machine language of nf_tables: load into a register, compare, decide.</summary>
internal readonly struct NftExpressions(NetlinkWriter writer)
{
    public const uint MetaInputInterface = 6;
    public const uint MetaOutputInterface = 7;
    private const uint MetaSocketUid = 10;
    private const uint MetaSocketGid = 11;
    private const uint MetaFamily = 15;
    private const uint MetaProtocol = 16;
    private const uint VerdictRegister = 0;
    private const uint Register = 1;
    private const uint NetworkHeader = 1;
    private const uint TransportHeader = 2;
    private const uint Equal = 0;
    private const uint AtMost = 3;
    private const uint AtLeast = 5;
    private const uint Return = unchecked((uint)-5);
    private const byte IpV4 = 2;
    private const byte IpV6 = 10;
    private const byte Tcp = 6;
    private const int InterfaceNameLength = 16;

    public void Rule(RedirectRule rule, uint interfaceKey)
    {
        if (rule.IpV6Only)
        {
            Meta(MetaFamily, [IpV6]);
        }

        if (rule.Uid is { } uid)
        {
            Meta(MetaSocketUid, BitConverter.GetBytes(uid));
        }

        if (rule.Gid is { } gid)
        {
            Meta(MetaSocketGid, BitConverter.GetBytes(gid));
        }

        if (rule.Interface is { } name)
        {
            var padded = new byte[InterfaceNameLength];
            Encoding.ASCII.GetBytes(name, padded);
            Meta(interfaceKey, padded);
        }

        if (rule.Subnet is { } subnet)
        {
            Destination(subnet);
        }

        if (rule.Ports is not null || rule.To is not null)
        {
            Meta(MetaProtocol, [Tcp]);
        }

        if (rule.Ports is { } ports)
        {
            DestinationPort(ports);
        }

        if (rule.To is { } to)
        {
            Redirect(to);
        }
        else
        {
            Verdict(Return);
        }
    }

    private static byte[] BigEndian(ushort value)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        return bytes;
    }

    private void Meta(uint key, ReadOnlySpan<byte> value)
    {
        var nested = Begin("meta");
        writer.Number(2, key);
        writer.Number(1, Register);
        End(nested);
        Compare(Equal, value);
    }

    private void DestinationPort(PortRange ports)
    {
        Load(TransportHeader, offset: 2, length: 2);
        if (ports.First == ports.Last)
        {
            Compare(Equal, BigEndian(ports.First));
            return;
        }

        Compare(AtLeast, BigEndian(ports.First));
        Compare(AtMost, BigEndian(ports.Last));
    }

    private void Destination(IPNetwork subnet)
    {
        var address = subnet.BaseAddress.GetAddressBytes();
        var ipV4 = subnet.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
        Meta(MetaFamily, [ipV4 ? IpV4 : IpV6]);
        Load(NetworkHeader, ipV4 ? 16u : 24u, (uint)address.Length);
        if (subnet.PrefixLength < address.Length * 8)
        {
            Mask(subnet.PrefixLength, address.Length);
        }

        Compare(Equal, address);
    }

    private void Mask(int prefixLength, int length)
    {
        var mask = new byte[length];
        for (var bit = 0; bit < prefixLength; bit++)
        {
            mask[bit / 8] |= (byte)(0x80 >> (bit % 8));
        }

        var nested = Begin("bitwise");
        writer.Number(1, Register);
        writer.Number(2, Register);
        writer.Number(3, (uint)length);
        Value(4, mask);
        Value(5, new byte[length]);
        End(nested);
    }

    private void Load(uint header, uint offset, uint length)
    {
        var nested = Begin("payload");
        writer.Number(1, Register);
        writer.Number(2, header);
        writer.Number(3, offset);
        writer.Number(4, length);
        End(nested);
    }

    private void Compare(uint comparison, ReadOnlySpan<byte> value)
    {
        var nested = Begin("cmp");
        writer.Number(1, Register);
        writer.Number(2, comparison);
        Value(3, value);
        End(nested);
    }

    private void Redirect(ushort port)
    {
        var immediate = Begin("immediate");
        writer.Number(1, Register);
        Value(2, BigEndian(port));
        End(immediate);
        var redirect = Begin("redir");
        writer.Number(1, Register);
        End(redirect);
    }

    private void Verdict(uint code)
    {
        var nested = Begin("immediate");
        writer.Number(1, VerdictRegister);
        var value = writer.BeginNested(2);
        var verdict = writer.BeginNested(2);
        writer.Number(1, code);
        writer.EndNested(verdict);
        writer.EndNested(value);
        End(nested);
    }

    private void Value(ushort type, ReadOnlySpan<byte> value)
    {
        var nested = writer.BeginNested(type);
        writer.Bytes(1, value);
        writer.EndNested(nested);
    }

    private (int Element, int Body) Begin(string expression)
    {
        var element = writer.BeginNested(1);
        writer.Text(1, expression);
        return (element, writer.BeginNested(2));
    }

    private void End((int Element, int Body) nested)
    {
        writer.EndNested(nested.Body);
        writer.EndNested(nested.Element);
    }
}
