using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Mesh.Transparent.Interception;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

public sealed class RulesTests
{
    private static readonly InterceptionOptions Full = new()
    {
        ProxyGid = 2103,
        InboundPorts = [new(80, 80)],
        SkipInboundPorts = [new(4191, 4191), new(9000, 9001)],
        SkipOutboundPorts = [new(25, 25)],
        SkipSubnets = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("fd00::/8")],
    };

    [Fact]
    public void Iptables_IpV4_InTheOrderThatDecides() => Assert.Equal(
        """
        *nat
        :MESH_OUTPUT - [0:0]
        :MESH_PREROUTING - [0:0]
        -A MESH_OUTPUT -m owner --uid-owner 2102 -j RETURN
        -A MESH_OUTPUT -m owner --gid-owner 2103 -j RETURN
        -A MESH_OUTPUT -o lo -j RETURN
        -A MESH_OUTPUT -p tcp --dport 25 -j RETURN
        -A MESH_OUTPUT -d 10.0.0.0/8 -j RETURN
        -A MESH_OUTPUT -p tcp -j REDIRECT --to-ports 4140
        -A MESH_PREROUTING -i lo -j RETURN
        -A MESH_PREROUTING -p tcp --dport 4191 -j RETURN
        -A MESH_PREROUTING -p tcp --dport 9000:9001 -j RETURN
        -A MESH_PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 4143
        -A OUTPUT -p tcp -j MESH_OUTPUT
        -A PREROUTING -p tcp -j MESH_PREROUTING
        COMMIT

        """,
        IptablesText.Replace(RedirectRules.From(Full), AddressFamily.InterNetwork, ""));

    [Fact]
    public void Iptables_IpV6_HasItsOwnSubnetsAlone()
    {
        var text = IptablesText.Replace(RedirectRules.From(Full), AddressFamily.InterNetworkV6, "");

        Assert.Contains("-d fd00::/8 -j RETURN", text, StringComparison.Ordinal);
        Assert.DoesNotContain("10.0.0.0", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Iptables_JumpsThatAreThere_AreDeletedFirst()
    {
        const string Saved = """
            *nat
            :OUTPUT ACCEPT [0:0]
            :MESH_OUTPUT - [0:0]
            -A OUTPUT -p tcp -j MESH_OUTPUT
            -A OUTPUT -p tcp -m tcp --dport 80 -j MESH_OUTPUT_OF_ANOTHER
            -A OUTPUT -p tcp -j MESH_OUTPUT
            COMMIT
            """;

        var replaced = IptablesText.Replace(RedirectRules.From(new()), AddressFamily.InterNetwork, Saved);
        Assert.Equal(2, replaced.Split("-D OUTPUT -p tcp -j MESH_OUTPUT\n").Length - 1);

        Assert.Equal(
            "*nat\n-D OUTPUT -p tcp -j MESH_OUTPUT\n-D OUTPUT -p tcp -j MESH_OUTPUT\n-F MESH_OUTPUT\n-X MESH_OUTPUT\nCOMMIT\n",
            IptablesText.Remove(Saved));
        Assert.Null(IptablesText.Remove("*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"));
    }

    [Fact]
    public void Nft_Text_InTheOrderThatDecides() => Assert.Equal(
        """
        add table inet mesh_proxy
        delete table inet mesh_proxy
        table inet mesh_proxy {
        	chain output {
        		type nat hook output priority -100; policy accept;
        		meta nfproto ipv6 return comment "IPv6 is not redirected"
        		meta skuid 2102 return comment "the proxy's own connections"
        		oifname "lo" return comment "within the pod"
        		meta l4proto tcp redirect to :4140 comment "outbound"
        	}

        	chain prerouting {
        		type nat hook prerouting priority -100; policy accept;
        		meta nfproto ipv6 return comment "IPv6 is not redirected"
        		iifname "lo" return comment "within the pod"
        		tcp dport 4191 return comment "the proxy's admin port"
        		meta l4proto tcp redirect to :4143 comment "inbound"
        	}
        }

        """,
        NftText.Replace(RedirectRules.From(new() { IpV6 = false })));

    [Fact]
    public void NftBatch_IsWholeMessagesInOneTransaction()
    {
        var batch = NftBatch.Replace(RedirectRules.From(Full));

        var types = Messages(batch.Messages.ToArray(), out var sequences);
        Assert.Equal(0x10, types[0]);
        Assert.Equal(0x11, types[^1]);
        Assert.Equal([0x0a00, 0x0a02, 0x0a00, 0x0a03, 0x0a03], types[1..6]);
        Assert.All(types[6..^1], type => Assert.Equal(0x0a06, type));
        Assert.Equal(11, types.Count - 7);
        Assert.Equal(Enumerable.Range(0, batch.Steps.Count).Select(i => (uint)i), sequences);
    }

    /// <summary>By hand from linux/netlink.h and nf_tables.h: an addition to a table, as the kernel wants it.</summary>
    [Fact]
    public void NftBatch_Remove_ByteByByte()
    {
        const string Begin = "14000000" + "1000" + "0100" + "00000000" + "00000000" + "00" + "00" + "000a";
        const string Name = "0f00" + "0100" + "6d6573685f70726f787900" + "00";
        const string Add = "24000000" + "000a" + "0104" + "01000000" + "00000000" + "01" + "00" + "0000" + Name;
        const string Delete = "24000000" + "020a" + "0500" + "02000000" + "00000000" + "01" + "00" + "0000" + Name;
        const string End = "14000000" + "1100" + "0100" + "03000000" + "00000000" + "00" + "00" + "000a";

        Assert.Equal(Begin + Add + Delete + End, Convert.ToHexStringLower(NftBatch.Remove().Messages));
    }

    private static List<int> Messages(ReadOnlySpan<byte> bytes, out List<uint> sequences)
    {
        List<int> types = [];
        sequences = [];
        while (bytes.Length > 0)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
            Assert.Equal(0, length % 4);
            types.Add(BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]));
            sequences.Add(BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
            bytes = bytes[length..];
        }

        return types;
    }
}
