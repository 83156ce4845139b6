"""Nobody asks whether it still answers."""

REFUSED_WITH = "may have stopped to answer"


def dockerfile():
    return """
FROM python:3.13-slim
WORKDIR /srv
RUN useradd --system --uid 10001 app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app ./app
USER 10001
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
