using System.Text;
using Mesh.Transparent.Detection;
using Xunit;

namespace Mesh.Transparent.Tests;

public sealed class FirstBytesReaderTests
{
    public static TheoryData<string, string> Cases => new()
    {
        { "GET / HTTP/1.1\r\n", "Http1" },
        { "GET / HTTP/1.0\r\n", "Http1" },
        { "\r\nGET / HTTP/1.1\r\n", "Http1" },
        { "PROPFIND /a b HTTP/1.1\r\n", "Http1" },
        { "GET http://a/b HTTP/1.1\r\n", "Http1" },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Http2" },
        { "GE", "Unknown" },
        { "GET /long", "Unknown" },
        { "PRI * HTTP/2.0\r\n", "Unknown" },
        { "", "Unknown" },
        { "CONNECT a:443 HTTP/1.1\r\n", "Opaque" },
        { "GET key\r\n", "Opaque" },
        { "SET a b\r\n", "Opaque" },
        { "HELO me\r\n", "Opaque" },
        { "PING\r\n", "Opaque" },
        { "*1\r\n$4\r\nPING\r\n", "Opaque" },
        { "GET \u0001x", "Opaque" },
        { "\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f", "Opaque" },
        { "GET / HTTP/2.0\r\n", "Opaque" },
        { "GET /HTTP/1.1\r\n", "Opaque" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Read_TellsTheProtocol(string bytes, string expected) =>
        Assert.Equal(expected, FirstBytesReader.Read(Encoding.Latin1.GetBytes(bytes)).Protocol.ToString());

    [Fact]
    public void Read_RequestLineOfEveryLength_IsDecidedAtItsEndAndNotBefore()
    {
        var line = "GET /" + new string('a', 3000) + " HTTP/1.1\r\n";
        var bytes = Encoding.ASCII.GetBytes(line);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.Equal(WireProtocol.Unknown, FirstBytesReader.Read(bytes.AsMemory(0, length)).Protocol);
        }

        Assert.Equal(WireProtocol.Http1, FirstBytesReader.Read(bytes).Protocol);
    }

    [Fact]
    public void Read_EndlessRequestLine_IsForTheServerToRefuse() =>
        Assert.Equal(WireProtocol.Http1, FirstBytesReader.Read(Encoding.ASCII.GetBytes("GET /" + new string('a', FirstBytesReader.LongestRequestLine))).Protocol);
}
