using Microsoft.Extensions.Configuration;
using Xunit;

namespace Mesh.Hosting;

public sealed class LoadReportOptionTests
{
    [Theory]
    [InlineData(null, false)]
    [InlineData("true", true)]
    [InlineData(" False ", false)]
    public void ReportLoadToAll_Configuration_IsRead(string? value, bool expected) => Assert.Equal(expected, Read(value).Server.ReportLoadToAll);

    [Fact]
    public void ReportLoadToAll_NoBoolean_IsRefused() =>
        Assert.Equal(["Mesh:Server:ReportLoadToAll is 'yes'. Use true or false."], Assert.Throws<MeshConfigurationException>(() => Read("yes")).Problems);

    private static MeshOptions Read(string? value)
    {
        var options = new MeshOptions();
        new MeshOptionsSetup(new ConfigurationBuilder().AddInMemoryCollection([new("Mesh:Server:ReportLoadToAll", value)]).Build()).Configure(options);
        return options;
    }
}
