using System.Text;

namespace Mesh.Conformance.Tests.Wire;

/// <summary>The measure is measured first: examples of RFC 7541 Appendix C.</summary>
public sealed class HpackTests
{
    [Fact]
    public void HuffmanCode_AllLengths_LeaveNoBitPatternOut()
    {
        var sum = 0L;
        foreach (var length in Huffman.Lengths)
        {
            sum += 1L << (30 - length);
        }

        Assert.Equal(1L << 30, sum);
    }

    [Theory]
    [InlineData("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff")]
    [InlineData("no-cache", "a8eb10649cbf")]
    [InlineData("custom-value", "25a849e95bb8e8b4bf")]
    [InlineData("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff")]
    [InlineData("foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1", "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007")]
    public void Huffman_ExamplesOfAppendixC_AsWritten(string text, string hex)
    {
        Assert.Equal(hex, Convert.ToHexStringLower(Huffman.Encode(Encoding.Latin1.GetBytes(text))));
        Assert.Equal(text, Encoding.Latin1.GetString(Huffman.Decode(Convert.FromHexString(hex))));
    }

    [Fact]
    public void Huffman_EveryOctet_ComesBack()
    {
        byte[] all = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];

        Assert.Equal(all, Huffman.Decode(Huffman.Encode(all)));
    }

    [Theory]
    [InlineData(10, 5, "0a")]
    [InlineData(1337, 5, "1f9a0a")]
    [InlineData(42, 8, "2a")]
    public void Integer_ExamplesOfC1_AsWritten(int value, int prefix, string hex) => Assert.Equal(hex, Convert.ToHexStringLower(Hpack.Integer(value, prefix, 0)));

    /// <summary>C.6: three responses on one connection, with a table of 256 octets that evicts.</summary>
    [Fact]
    public void Decode_ExamplesOfC6_FieldsAndTableAsWritten()
    {
        var tables = new HpackTables { Limit = 256 };
        tables.Resize(256);

        Assert.Equal(
            [(":status", "302"), ("cache-control", "private"), ("date", "Mon, 21 Oct 2013 20:13:21 GMT"), ("location", "https://www.example.com")],
            Decoded("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"));
        Assert.Equal(222, tables.Size);
        Assert.Equal((":status", "307"), Decoded("4883640effc1c0bf")[0]);
        Assert.Equal(222, tables.Size);
        Assert.Equal(6, Decoded("88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007").Count);
        Assert.Equal((215, 3), (tables.Size, tables.Count));

        List<(string Name, string Value)> Decoded(string hex) => Hpack.Decode(Convert.FromHexString(hex), tables);
    }

    [Theory]
    [InlineData("80")]
    [InlineData("be")]
    [InlineData("3fe21f")]
    [InlineData("8220")]
    [InlineData("ffffffffffffffff7f")]
    [InlineData("00016105")]
    [InlineData("0001618400000000")]
    [InlineData("00016184ffffffff")]
    public void Decode_WhatIsNotHpack_Refused(string hex) => Assert.Throws<HpackException>(() => Hpack.Decode(Convert.FromHexString(hex), new HpackTables()));
}
