using Xunit;

namespace Mesh.Transparent.Tests;

public sealed class SidecarProgramTests
{
    [Fact]
    public async Task Run_UnknownCommand_IsUsageError() =>
        Assert.Equal(64, await SidecarProgram.RunAsync(["frobnicate"]));

    [Theory]
    [InlineData("--help")]
    [InlineData("--version")]
    public async Task Run_Question_IsAnswered(string argument) =>
        Assert.Equal(0, await SidecarProgram.RunAsync([argument]));
}
