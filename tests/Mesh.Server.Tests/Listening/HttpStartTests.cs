using System.Buffers;
using System.Text;
using Mesh.Server.Listening;
using Xunit;

namespace Mesh.Server.Tests.Listening;

public sealed class HttpStartTests
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\n", true)]
    [InlineData("get ", true)]
    [InlineData("M-SEARCH * ", true)]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true)]
    [InlineData("\r\nGET /", true)]
    [InlineData("", null)]
    [InlineData("\r\n", null)]
    [InlineData("GET", null)]
    [InlineData("GET\r\n", false)]
    [InlineData(" GET /", false)]
    [InlineData("\0", false)]
    [InlineData("*3\r\n$3\r\nSET", false)]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN", false)]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /", true)]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG /", false)]
    public void Is_Bytes_AreToldApart(string bytes, bool? expected) => Assert.Equal(expected, HttpStart.Is(new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(bytes))));
}
