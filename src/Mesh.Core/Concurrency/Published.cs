namespace Mesh.Concurrency;

/// <summary>One immutable value that many threads read and one owner replaces by a single write.</summary>
/// <remarks>A reader that reads it once works on one consistent value to the end.</remarks>
internal sealed class Published<T>(T initial)
    where T : class
{
    private volatile T _current = initial;

    public T Current => _current;

    public void Publish(T next) => _current = next;
}
