namespace Mesh.Fuzz.Tests;

/// <summary>Something that reads bytes of strangers. One file each in Targets; a class without constructor parameters is found by itself.</summary>
internal interface IFuzzTarget
{
    /// <summary>As <c>eng/fuzz NAME</c> takes it: lower case and dashes.</summary>
    string Name { get; }

    /// <summary>Good inputs, and bad ones that are worth beginning with.</summary>
    IReadOnlyList<byte[]> Corpus { get; }

    /// <summary>What is done to an input, beside what is done to any bytes.</summary>
    IReadOnlyList<IMutation> Mutations { get; }

    /// <summary>How many inputs a run of the tests tries: less where one costs more.</summary>
    int Iterations => 8_000;

    /// <summary>Reads the input and checks what must hold of the outcome, whatever it is.</summary>
    /// <returns>The kind of outcome: an input with a new one is worth mutating further.</returns>
    /// <exception cref="Exception">Any is a bug: of the reader, or of what must hold.</exception>
    string Run(byte[] input);
}

/// <summary>One way to change an input. Stateless.</summary>
internal interface IMutation
{
    byte[] Apply(byte[] input, Random random);
}

/// <summary>What must hold did not.</summary>
internal sealed class BrokenInvariantException(string what) : Exception(what);

/// <summary>States what must hold.</summary>
internal static class Holds
{
    public static void That(bool condition, string what)
    {
        if (!condition)
        {
            throw new BrokenInvariantException(what);
        }
    }
}
